#include "confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "text/utf8.h"

#if defined(__SANITIZE_ADDRESS__)
#define CONFINE_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINE_SANITIZER 1
#endif
#endif
#ifndef CONFINE_SANITIZER
#define CONFINE_SANITIZER 0
#endif

#define STACK_BYTES ((size_t)8 << 20)
#define SENTENCE_MAX 1000

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum err confine_basics(void)
{
	struct rlimit none = { 0, 0 };
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0 ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
		return err_fail(ERR_SYSTEM, "cannot confine this process: %s", strerror(errno));
	}
	umask(077);
	return ERR_OK;
}

enum err confine_no_new_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		return err_fail(ERR_SYSTEM, "cannot give up privileges: %s", strerror(errno));
	}
	return ERR_OK;
}

enum err confine_become_owner(const char *path)
{
	struct stat st;
	if (geteuid() != 0) {
		return ERR_OK;
	}
	if (stat(path, &st) != 0) {
		return err_fail(ERR_DENIED, "cannot see whose %s is: %s", path, strerror(errno));
	}
	if (st.st_uid == 0) {
		return ERR_OK;
	}
	const struct passwd *pw = getpwuid(st.st_uid);
	int rc = pw ? initgroups(pw->pw_name, st.st_gid) : setgroups(1, &st.st_gid);
	if (rc != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
	    setresuid(st.st_uid, st.st_uid, st.st_uid) != 0 || setuid(0) == 0) {
		return err_fail(ERR_DENIED, "cannot become the owner of %s (uid %u): %s", path,
		    (unsigned)st.st_uid, strerror(errno));
	}
	return ERR_OK;
}

/* The smallest kept descriptor from `from` up, or -1. */
static int next_kept(const int *keep, size_t count, int from)
{
	int next = -1;
	for (size_t i = 0; i < count; i++) {
		if (keep[i] >= from && (next < 0 || keep[i] < next)) {
			next = keep[i];
		}
	}
	return next;
}

void confine_descriptors(const int *keep, size_t count)
{
	int from = 3;
	for (int next; (next = next_kept(keep, count, from)) >= 0; from = next + 1) {
		if (next > from) {
			(void)close_range((unsigned)from, (unsigned)next - 1, 0);
		}
	}
	(void)close_range((unsigned)from, ~0U, 0);
}

/* ---- seccomp ---- */

/* All that computing on bytes in memory needs. Executable memory: see allow_memory. */
static const int parser_calls[] = { SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(exit_group),
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(futex) };

/* glibc asks for these in passing (time zone, converters) and does without them. */
static const int soft_calls[] = { SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access),
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(readlink) };

/*
 * Beyond the parser's: receive a job, fork, wait, read the sealed memory file, and narrow the child
 * to a parser. clone, prctl and prlimit64 are restricted by argument in allow_fork.
 */
static const int nursery_calls[] = { SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(poll),
	SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(wait4), SCMP_SYS(waitid),
	SCMP_SYS(fstat), SCMP_SYS(pread64), SCMP_SYS(fcntl), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(getppid), SCMP_SYS(set_robust_list), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(setitimer), SCMP_SYS(umask), SCMP_SYS(seccomp),
	SCMP_SYS(getrandom), SCMP_SYS(restart_syscall) };

#if CONFINE_SANITIZER
static const int sanitizer_calls[] = { SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill),
	SCMP_SYS(sched_yield), SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(lseek),
	SCMP_SYS(getrlimit), SCMP_SYS(uname), SCMP_SYS(ioctl) };
#endif

static int allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	}
	return rc;
}

/* Private memory only, and never executable: what is shared would escape the memory limit. */
static int allow_memory(scmp_filter_ctx filter)
{
	int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0), SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED, 0));
	return rc ? rc
		  : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/* fork as glibc does it, without threads or namespaces; limits of the process itself; the way down.
 */
static int allow_fork(scmp_filter_ctx filter)
{
	static const unsigned prctls[] = { PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE, PR_SET_PDEATHSIG,
		PR_GET_SECCOMP };
	const scmp_datum_t flags = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	    SCMP_A0(SCMP_CMP_MASKED_EQ, ~flags, SIGCHLD));
	for (size_t i = 0; rc == 0 && i < COUNT(prctls); i++) {
		rc = seccomp_rule_add(
		    filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, prctls[i], 0));
	}
	return rc ? rc
		  : seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0, 0));
}

enum filter_kind { FILTER_PARSER, FILTER_NURSERY };

/* The nursery's fstat is newfstatat with an empty path; a path beside the flag shows no content. */
static int refuse_softly(scmp_filter_ctx filter, enum filter_kind kind)
{
	const uint32_t refused = SCMP_ACT_ERRNO(EACCES);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < COUNT(soft_calls); i++) {
		rc = seccomp_rule_add(filter, refused, soft_calls[i], 0);
	}
	if (rc || kind == FILTER_PARSER) {
		return rc ? rc : seccomp_rule_add(filter, refused, SCMP_SYS(newfstatat), 0);
	}
	rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
	    SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH, 0));
	return rc ? rc
		  : seccomp_rule_add(filter, refused, SCMP_SYS(newfstatat), 1,
			SCMP_A3(SCMP_CMP_NE, AT_EMPTY_PATH, 0));
}

static int fill_filter(scmp_filter_ctx filter, enum filter_kind kind)
{
	int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc || (rc = allow(filter, parser_calls, COUNT(parser_calls))) ||
	    (rc = allow_memory(filter)) || (rc = refuse_softly(filter, kind))) {
		return rc;
	}
#if CONFINE_SANITIZER
	rc = allow(filter, sanitizer_calls, COUNT(sanitizer_calls));
#endif
	if (rc == 0 && kind == FILTER_NURSERY) {
		rc = allow(filter, nursery_calls, COUNT(nursery_calls));
		rc = rc ? rc : allow_fork(filter);
	}
	return rc;
}

static enum err load_filter(enum filter_kind kind)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = filter ? fill_filter(filter, kind) : -ENOMEM;
	rc = rc ? rc : seccomp_load(filter);
	if (filter) {
		seccomp_release(filter);
	}
	return rc ? err_fail(ERR_SYSTEM, "cannot load the seccomp filter: %s", strerror(-rc))
		  : ERR_OK;
}

/* ---- limits ---- */

static enum err limit_resources(const struct confine_limits *limits)
{
	const struct {
		__rlimit_resource_t what;
		rlim_t soft, hard;
	} table[] = {
		{ RLIMIT_CPU, limits->seconds, limits->seconds + 1 },
#if !CONFINE_SANITIZER /* its shadow memory spans terabytes */
		{ RLIMIT_AS, limits->memory_bytes, limits->memory_bytes },
#endif
		{ RLIMIT_STACK, STACK_BYTES, STACK_BYTES },
		{ RLIMIT_FSIZE, 0, 0 },
		{ RLIMIT_CORE, 0, 0 },
		{ RLIMIT_NPROC, 0, 0 },
		{ RLIMIT_NOFILE, 0, 0 },
		{ RLIMIT_MEMLOCK, 0, 0 },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct rlimit limit = { table[i].soft, table[i].hard };
		if (setrlimit(table[i].what, &limit) != 0) {
			return err_fail(ERR_SYSTEM, "cannot limit a process: %s", strerror(errno));
		}
	}
	return ERR_OK;
}

/*
 * Whatever ends a process ends this one: no handler of whoever forked it stands in the way. But words
 * to a standard error that is a file (RLIMIT_FSIZE) are lost, not deadly.
 */
static void default_signals(void)
{
	for (int number = 1; number < SIGRTMIN; number++) {
		if (number != SIGPIPE) {
			/* Refused for SIGKILL and SIGSTOP. */
			(void)signal(number, number == SIGXFSZ ? SIG_IGN : SIG_DFL);
		}
	}
}

static enum err limit_time(const struct confine_limits *limits)
{
	sigset_t none;
	struct itimerval timer = { .it_value = { .tv_sec = limits->seconds } };
	sigemptyset(&none);
	default_signals();
	if (sigprocmask(SIG_SETMASK, &none, NULL) != 0 ||
	    setitimer(ITIMER_REAL, &timer, NULL) != 0) {
		return err_fail(ERR_SYSTEM, "cannot limit a process: %s", strerror(errno));
	}
	return ERR_OK;
}

enum err confine_parser(const struct confine_limits *limits)
{
	enum err err = confine_basics();
	if (!err) {
		err = confine_no_new_privileges();
	}
	if (!err) {
		err = limit_time(limits);
	}
	if (!err) {
		err = limit_resources(limits);
	}
	return err ? err : load_filter(FILTER_PARSER);
}

enum err confine_nursery(void)
{
	enum err err = confine_basics();
	if (!err) {
		err = confine_no_new_privileges();
	}
	return err ? err : load_filter(FILTER_NURSERY);
}

/* ---- one function in a confined child ---- */

typedef bool (*work_function)(struct bytes in, struct buf *out);

/* Writes the result and exits 0, or the sentence and exits 1. */
static _Noreturn void call_child(
    work_function work, struct bytes in, const struct confine_limits *limits, int fd)
{
	struct buf out = BUF_SECRET;
	bool good = false;
	confine_descriptors(&fd, 1);
	if (!confine_parser(limits)) {
		good = work(in, &out);
	}
	struct bytes answer = good ? buf_bytes(&out) : bytes_of_text(err_text());
	_exit(file_write_fd(fd, answer) == ERR_OK && good ? 0 : 1);
}

static enum err call_outcome(int status, const struct buf *answer)
{
	if (WIFSIGNALED(status)) {
		return err_fail(
		    ERR_DATA, "reading it was stopped (%s)", strsignal(WTERMSIG(status)));
	}
	if (WEXITSTATUS(status) == 0) {
		return ERR_OK;
	}
	/* From a process that read a stranger's bytes. */
	char *said =
	    str_ndup(buf_text(answer), answer->len < SENTENCE_MAX ? answer->len : SENTENCE_MAX);
	char *clean = utf8_printable(said, false);
	enum err err = err_fail(ERR_DATA, "%s", clean[0] ? clean : "it could not be read");
	str_free(&clean);
	str_free(&said);
	return err;
}

static int wait_for(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return status;
}

enum err confine_call(bool (*work)(struct bytes in, struct buf *out), void (*preload)(void),
    struct bytes in, const struct confine_limits *limits, size_t max_out_bytes, struct buf *out)
{
	int ends[2];
	if (preload) {
		preload();
	}
	if (pipe2(ends, O_CLOEXEC) != 0) {
		return err_fail(ERR_SYSTEM, "cannot make a pipe: %s", strerror(errno));
	}
	pid_t pid = fork();
	if (pid == 0) {
		call_child(work, in, limits, ends[1]);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_fail(ERR_SYSTEM, "cannot start a process: %s", strerror(errno));
	}
	struct buf answer = { .secret = out->secret };
	size_t most = max_out_bytes > SENTENCE_MAX ? max_out_bytes : SENTENCE_MAX;
	enum err err = file_read_fd(ends[0], "the confined process", most, &answer);
	close(ends[0]);
	if (err) {
		kill(pid, SIGKILL);
	}
	int status = wait_for(pid);
	if (!err) {
		err = call_outcome(status, &answer);
	}
	if (!err && answer.len > max_out_bytes) {
		err = err_fail(ERR_DATA, "the result is larger than %zu bytes", max_out_bytes);
	}
	if (!err) {
		buf_add(out, answer.data, answer.len);
	}
	buf_free(&answer);
	return err;
}
