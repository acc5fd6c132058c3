#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "confine/confine.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct confine_limits limits = { .seconds = 5, .memory_bytes = (size_t)256 << 20 };

/* How a child ended: DONE 0, REFUSED 1, or 128 + signal. */
enum { DONE = 0, REFUSED = 1, SET_UP = 2, SYSTEM_CALL = 128 + SIGSYS };

enum cage { FREE, PARSER, NURSERY };

static bool enter(enum cage cage, const struct confine_limits *l)
{
	return cage == FREE     ? true
	       : cage == PARSER ? confine_parser(l) == ERR_OK
				: confine_nursery() == ERR_OK;
}

static int status_of(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Runs act() in a child in the cage; what it returns is the exit status. */
static int run_in(enum cage cage, int (*act)(void), const struct confine_limits *l)
{
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* cmocka catches it */
		_exit(enter(cage, l) ? act() : SET_UP);
	}
	return status_of(pid);
}

static int refused_if(bool failed)
{
	return failed ? REFUSED : DONE;
}

static int try_open(void)
{
	return refused_if(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0);
}

static int try_create(void)
{
	char path[64];
	snprintf(path, sizeof path, "/tmp/test_confine.%d", (int)getpid());
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return refused_if(fd < 0 || unlink(path) != 0);
}

static int try_unlink(void)
{
	return refused_if(unlink("/tmp/test_confine.absent") != 0 && errno != ENOENT);
}

static int try_stat(void)
{
	struct stat st;
	return refused_if(stat("/etc/passwd", &st) != 0);
}

static int try_socket(void)
{
	return refused_if(socket(AF_INET, SOCK_STREAM, 0) < 0);
}

static int try_socketpair(void)
{
	int fds[2];
	return refused_if(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
}

static int try_fork(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		_exit(0);
	}
	return refused_if(pid < 0);
}

static int thread_main(void *nothing)
{
	(void)nothing;
	syscall(SYS_exit, 0);
	return 0;
}

static int try_thread(void)
{
	static _Alignas(16) char stack[65536];
	int pid = clone(thread_main, stack + sizeof stack, CLONE_VM | CLONE_FS | SIGCHLD, NULL);
	return refused_if(pid < 0);
}

/* The call that makes namespaces, with what anybody may have anywhere: a new user namespace is refused in a chroot without our doing. */
static int try_namespace(void)
{
	return refused_if(syscall(SYS_unshare, CLONE_FS) != 0);
}

static int try_exec(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return REFUSED;
}

static int try_kill(void)
{
	return refused_if(kill(getppid(), 0) != 0);
}

static int try_ptrace(void)
{
	return refused_if(ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0);
}

static int try_map_exec(void)
{
	return refused_if(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0) == MAP_FAILED);
}

static int try_map_shared(void)
{
	return refused_if(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			      0) == MAP_FAILED);
}

static int try_make_exec(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return refused_if(mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0);
}

static int try_prctl(void)
{
	return refused_if(prctl(PR_SET_NAME, "other", 0, 0, 0) != 0);
}

static int try_undo_limit(void)
{
	struct rlimit l = { 10, 10 };
	return refused_if(setrlimit(RLIMIT_NOFILE, &l) != 0);
}

static int try_other_process(void)
{
	struct rlimit l;
	return refused_if(prlimit(getppid(), RLIMIT_NOFILE, NULL, &l) != 0);
}

static int try_memfd(void)
{
	return refused_if(memfd_create("x", 0) < 0);
}

static void forbidden_to(enum cage cage, void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int (*act)(void);
		int parser, nursery; /* how each ends */
	} cases[] = {
		{ "open", try_open, REFUSED, REFUSED },
		{ "create", try_create, SYSTEM_CALL, REFUSED },
		{ "unlink", try_unlink, SYSTEM_CALL, SYSTEM_CALL },
		{ "stat", try_stat, REFUSED, REFUSED },
		{ "socket", try_socket, SYSTEM_CALL, SYSTEM_CALL },
		{ "socketpair", try_socketpair, SYSTEM_CALL, SYSTEM_CALL },
		{ "fork", try_fork, SYSTEM_CALL, DONE },
		{ "thread", try_thread, SYSTEM_CALL, SYSTEM_CALL },
		{ "namespace", try_namespace, SYSTEM_CALL, SYSTEM_CALL },
		{ "exec", try_exec, SYSTEM_CALL, SYSTEM_CALL },
		{ "kill", try_kill, SYSTEM_CALL, SYSTEM_CALL },
		{ "ptrace", try_ptrace, SYSTEM_CALL, SYSTEM_CALL },
		{ "executable memory", try_map_exec, SYSTEM_CALL, SYSTEM_CALL },
		{ "shared memory", try_map_shared, SYSTEM_CALL, SYSTEM_CALL },
		{ "memory made executable", try_make_exec, SYSTEM_CALL, SYSTEM_CALL },
		{ "prctl", try_prctl, SYSTEM_CALL, SYSTEM_CALL },
		{ "limits", try_undo_limit, SYSTEM_CALL, DONE },
		{ "limits of another process", try_other_process, SYSTEM_CALL, SYSTEM_CALL },
		{ "memory file", try_memfd, SYSTEM_CALL, SYSTEM_CALL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		int expect = cage == PARSER ? cases[i].parser : cases[i].nursery;
		int free_status = run_in(FREE, cases[i].act, &limits);
		int status = run_in(cage, cases[i].act, &limits);
		/* The sanitizer's runtime may look at its own process and into files. */
		bool same = status == expect || (SANITIZED && expect != DONE && status == REFUSED);
		if (free_status != DONE || !same) {
			print_error("%s: ended with %d outside, %d inside\n", cases[i].name,
			    free_status, status);
			fail();
		}
	}
}

static void parser_may_not(void **state)
{
	forbidden_to(PARSER, state);
}

static void nursery_may_not(void **state)
{
	forbidden_to(NURSERY, state);
}

#if !SANITIZED
/* Every call of this kernel with zeros: how many are neither killed nor answered EACCES? */
static void parser_calls_are_few(void **state)
{
	(void)state;
	unsigned allowed = 0;
	for (long call = 0; call < 470; call++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (confine_parser(&limits)) {
				_exit(SET_UP);
			}
			long rc = syscall(call, 0, 0, 0, 0, 0, 0);
			_exit(rc < 0 && errno == EACCES ? REFUSED : DONE);
		}
		int status = status_of(pid);
		assert_int_not_equal(status, SET_UP);
		allowed += status != SYSTEM_CALL && status != REFUSED;
	}
	assert_in_range(allowed, 10, 15);
}
#endif

static int parser_work(void)
{
	char date[WHEN_TEXT_SIZE];
	struct buf b = BUF_INIT;
	for (int i = 0; i < 100000; i++) {
		buf_addf(&b, "%d %s\n", i, when_format(when_now(), date));
	}
	time_t now = time(NULL);
	struct tm tm;
	bool good = localtime_r(&now, &tm) != NULL && b.len > 2000000;
	(void)iconv_open("utf-8", "iso-2022-jp"); /* fails, softly */
	void *big = malloc(20 << 20);
	good = good && big != NULL;
	free(big);
	buf_free(&b);
	char c;
	good = good && read(0, &c, 1) >= 0 && write(1, "", 0) == 0;
	return refused_if(!good);
}

static void parser_may_compute(void **state)
{
	(void)state;
	int saved = dup(0);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(saved >= 0 && null >= 0 && dup2(null, 0) == 0);
	assert_int_equal(run_in(PARSER, parser_work, &limits), DONE);
	assert_int_equal(dup2(saved, 0), 0);
	close(saved);
	close(null);
}

static int eat_memory(void)
{
	for (int i = 0; i < 64; i++) {
		memset(
		    mem_alloc(8 << 20), 1, 8 << 20); /* exits with EX_OSERR when there is no more */
	}
	return DONE;
}

static int eat_time(void)
{
	volatile bool on = true;
	while (on) {
	}
	return DONE;
}

static int sleep_on(void)
{
	char c;
	return read(STDIN_FILENO, &c, 1) < 0 ? REFUSED : DONE;
}

static int recurse(unsigned depth)
{
	volatile char page[4096];
	memset((char *)(uintptr_t)page, (int)depth, sizeof page);
	return depth == 0 ? page[0] : recurse(depth - 1) + page[1];
}

static int eat_stack(void)
{
	return recurse(1u << 20) == 1 ? REFUSED : DONE;
}

static void limits_hold(void **state)
{
	(void)state;
	static const struct confine_limits second = { .seconds = 1,
		.memory_bytes = (size_t)256 << 20 };
	int64_t start = when_monotonic_ms();
	int status = run_in(PARSER, eat_time, &second);
	assert_true(status == 128 + SIGALRM || status == 128 + SIGXCPU);
	/* Nothing to read, for ever: only the wall clock sees it. */
	int ends[2], saved = dup(0);
	assert_true(saved >= 0 && pipe2(ends, O_CLOEXEC) == 0 && dup2(ends[0], 0) == 0);
	assert_int_equal(run_in(PARSER, sleep_on, &second), 128 + SIGALRM);
	assert_int_equal(dup2(saved, 0), 0);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	assert_true(when_monotonic_ms() - start < 6000);
	if (!SANITIZED) {
		assert_int_equal(run_in(FREE, eat_memory, &limits), DONE);
		assert_int_equal(run_in(PARSER, eat_memory, &limits), EX_OSERR);
		assert_int_equal(run_in(PARSER, eat_stack, &limits), 128 + SIGSEGV);
	}
}

/* ---- the nursery at work: descriptors come, a child is confined, reads, answers ---- */

static void send_descriptors(int socket, const int fds[2])
{
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), fds, 2 * sizeof(int));
	assert_int_equal(sendmsg(socket, &message, 0), 1);
}

static bool receive_descriptors(int socket, int fds[2])
{
	char byte;
	struct iovec iov = { &byte, 1 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) {
		return false;
	}
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), 2 * sizeof(int));
	return true;
}

static _Noreturn void nursery_child(const int fds[2])
{
	struct buf mail = BUF_INIT;
	bool good = memfd_read(fds[0], 1000, &mail) == ERR_OK;
	good = good && confine_parser(&limits) == ERR_OK;
	good = good && file_write_fd(fds[1], buf_bytes(&mail)) == ERR_OK;
	_exit(good ? 7 : 8);
}

static _Noreturn void nursery(int socket)
{
	int fds[2], status;
	if (confine_nursery()) {
		_exit(SET_UP);
	}
	while (receive_descriptors(socket, fds)) {
		pid_t pid = fork();
		if (pid == 0) {
			nursery_child(fds);
		}
		close(fds[0]);
		close(fds[1]);
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
			_exit(REFUSED);
		}
		char end = (char)WEXITSTATUS(status);
		if (write(socket, &end, 1) != 1) {
			_exit(REFUSED);
		}
	}
	_exit(DONE);
}

static void nursery_works(void **state)
{
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		nursery(pair[1]);
	}
	close(pair[1]);
	for (int i = 0; i < 3; i++) {
		int ends[2], memory;
		char end = 0;
		struct buf answer = BUF_INIT;
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		assert_int_equal(memfd_make(bytes_of_text("a mail"), &memory), ERR_OK);
		send_descriptors(pair[0], (int[2]){ memory, ends[1] });
		close(memory);
		close(ends[1]);
		assert_int_equal(file_read_fd(ends[0], "answer", 1000, &answer), ERR_OK);
		assert_string_equal(buf_text(&answer), "a mail");
		assert_int_equal(read(pair[0], &end, 1), 1);
		assert_int_equal(end, 7);
		close(ends[0]);
		buf_free(&answer);
	}
	close(pair[0]);
	assert_int_equal(status_of(pid), DONE);
}

/* ---- confine_call ---- */

static bool work_upper(struct bytes in, struct buf *out)
{
	for (size_t i = 0; i < in.len; i++) {
		buf_add_byte(out, in.data[i] & ~0x20);
	}
	return true;
}

static bool work_false(struct bytes in, struct buf *out)
{
	buf_add(out, in.data, in.len);
	return err_fail(ERR_DATA, "this \033[1m is wrong") == ERR_OK;
}

static bool work_crash(struct bytes in, struct buf *out)
{
	(void)in;
	(void)out;
	raise(SIGSEGV);
	__builtin_trap();
}

static bool work_open(struct bytes in, struct buf *out)
{
	(void)in;
	buf_addf(out, "%d", open("/etc/passwd", O_RDONLY | O_CLOEXEC));
	return true;
}

static bool work_hang(struct bytes in, struct buf *out)
{
	buf_add(out, in.data, in.len);
	return eat_time() == 0;
}

static bool work_long(struct bytes in, struct buf *out)
{
	for (int i = 0; i < 100000; i++) {
		buf_add(out, in.data, in.len);
	}
	return true;
}

static bool work_slightly_long(struct bytes in, struct buf *out)
{
	buf_add(out, in.data, in.len);
	buf_add_text(out, "12345678901234567890");
	return true;
}

static unsigned preloads;

static void count_preload(void)
{
	preloads++;
}

static void calls(void **state)
{
	(void)state;
	static const struct {
		bool (*work)(struct bytes in, struct buf *out);
		enum err expect;
		const char *text; /* result, or part of the sentence */
	} cases[] = {
		{ work_upper, ERR_OK, "ABC" },
		{ work_false, ERR_DATA, " is wrong" },
		{ work_crash, ERR_DATA, "stopped" },
		{ work_open, ERR_OK, "-1" },
		{ work_hang, ERR_DATA, "stopped" },
		{ work_long, ERR_DATA, "" },
		{ work_slightly_long, ERR_DATA, "larger than 20" },
	};
	static const struct confine_limits second = { .seconds = 1,
		.memory_bytes = (size_t)256 << 20 };
	preloads = 0;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = BUF_INIT;
		buf_add_text(&out, ">");
		assert_int_equal(confine_call(cases[i].work, count_preload, bytes_of_text("abc"),
				     &second, 20, &out),
		    cases[i].expect);
		if (cases[i].expect == ERR_OK) {
			assert_string_equal(buf_text(&out) + 1, cases[i].text);
		} else {
			assert_string_equal(buf_text(&out), ">");
			assert_non_null(strstr(err_text(), cases[i].text));
			assert_null(strchr(err_text(), '\033'));
		}
		buf_free(&out);
	}
	assert_int_equal(preloads, COUNT(cases));
}

/* ---- what every process does ---- */

static int basics_act(void)
{
	struct rlimit core;
	bool good =
	    confine_basics() == ERR_OK && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
	    getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 && umask(0) == 077 &&
	    signal(SIGPIPE, SIG_DFL) == SIG_IGN && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 &&
	    confine_no_new_privileges() == ERR_OK && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	return refused_if(!good);
}

static void basics(void **state)
{
	(void)state;
	assert_int_equal(run_in(FREE, basics_act, &limits), DONE);
}

static int descriptors_act(void)
{
	for (int fd = 3; fd < 40; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && dup2(1, fd) != fd) {
			return SET_UP;
		}
	}
	static const int keep[] = { 17, 4, -1, 2, 30 };
	confine_descriptors(keep, COUNT(keep));
	for (int fd = 0; fd < 60; fd++) {
		bool open_now = fcntl(fd, F_GETFD) >= 0;
		bool wanted = fd < 3 || fd == 4 || fd == 17 || fd == 30;
		if (open_now != wanted) {
			return REFUSED;
		}
	}
	confine_descriptors(NULL, 0);
	return refused_if(fcntl(4, F_GETFD) >= 0);
}

static void descriptors(void **state)
{
	(void)state;
	assert_int_equal(run_in(FREE, descriptors_act, &limits), DONE);
}

static char owned[] = "/tmp/test_confine.XXXXXX";

static int owner_act(void)
{
	struct stat st;
	if (stat(owned, &st) != 0 || confine_become_owner("/") != ERR_OK) {
		return SET_UP;
	}
	uid_t before = geteuid();
	bool good = confine_become_owner(owned) == ERR_OK && geteuid() == st.st_uid;
	good = good && (before != 0 || (getegid() == st.st_gid && setuid(0) != 0));
	return refused_if(!good || getuid() != geteuid());
}

static int absent_act(void)
{
	return confine_become_owner("/nonexistent") == ERR_DENIED ? DONE : REFUSED;
}

static void owners(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(owned));
	if (geteuid() == 0) {
		assert_int_equal(chown(owned, 65534, 65534), 0);
		assert_int_equal(run_in(FREE, absent_act, &limits), DONE);
	}
	assert_int_equal(run_in(FREE, owner_act, &limits), DONE);
	assert_int_equal(file_remove_tree(owned), ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parser_may_not),
		cmocka_unit_test(nursery_may_not),
#if !SANITIZED
		cmocka_unit_test(parser_calls_are_few),
#endif
		cmocka_unit_test(parser_may_compute),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(nursery_works),
		cmocka_unit_test(calls),
		cmocka_unit_test(basics),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(owners),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
