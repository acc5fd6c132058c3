#include "supervise.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "base/when.h"
#include "base/wire.h"
#include "confine/confine.h"
#include "packet.h"
#include "role.h"
#include "shared/authority.h"
#include "text/utf8.h"

#define CHILDREN_MAX (CONF_MAILBOXES_MAX + 64 + 3)
#define FDS_MAX (CONF_MAILBOXES_MAX + 2)
#define BACK_OFF_MOST_SECONDS 60
#define STEADY_SECONDS 30 /* a child that lived so long is not failing */
#define STOP_MS 4000
#define STOP_KEYS_MS 800 /* the keyring ends gpg-agent in that time */
#define ONCE_FAILURES_MOST 5
#define LOCK_AWAIT_MS 3000
#define STALE_HOME_SECONDS 3600

/* The order is the order of starting; stopping goes the other way round but for the sender, which has what intake caused. */
enum kind { KIND_KEYRING, KIND_NURSERY, KIND_WORKER, KIND_SENDER, KIND_INTAKE, KINDS };
static const char *const kind_names[KINDS] = { "keyring", "nursery", "worker", "sender", "intake" };

struct child {
	enum kind kind;
	int index;
	pid_t pid;        /* 0: not running */
	int report;       /* our end */
	int fds[FDS_MAX]; /* what it gets from ROLE_FD_FIRST on */
	size_t fd_count;
	int64_t started_ms, start_at_ms;
	unsigned failures;
	bool wanted, reported, ready;
	bool unable;                      /* it said itself that it can't work */
	int status;                       /* exit status of its last life */
	int64_t since, next_try, waiting; /* role.h; since when it is ready, or is not */
	char why[256];
};

struct parent {
	struct conf *conf;
	int conf_fd;
	pid_t pid;
	bool once;
	struct clock_reading start;
	struct child children[CHILDREN_MAX];
	size_t count;
	char *status;   /* as last told */
	bool told_well; /* the service manager knows that we are up */
};

/* Both ends stay with the parent, so that a child started again finds its place. */
static enum err make_pair(int out[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out) < 0)
		return err_fail(ERR_SYSTEM, "cannot make a socket pair: %s", strerror(errno));
	return ERR_OK;
}

static struct child *add_child(struct parent *p, enum kind kind, int index)
{
	struct child *c = &p->children[p->count++];
	*c = (struct child){ .kind = kind, .index = index, .report = -1, .wanted = true };
	return c;
}

static void give(struct child *c, int fd)
{
	c->fds[c->fd_count++] = fd;
}

static size_t worker_count(const struct conf *conf)
{
	long n = conf->limits.workers ? (long)conf->limits.workers : sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > 64 ? 64 : (size_t)n;
}

/* Who is connected with whom: the whole wiring of docs/privsep.md. */
static enum err lay_out(struct parent *p)
{
	int parse[2], send[2], offers[CONF_MAILBOXES_MAX][2];
	size_t mailboxes = p->conf->mailbox_count, workers = worker_count(p->conf);
	enum err rc = make_pair(parse);

	if (rc == ERR_OK)
		rc = make_pair(send);
	for (size_t i = 0; rc == ERR_OK && i < mailboxes; i++)
		rc = make_pair(offers[i]);
	if (rc != ERR_OK)
		return rc;
	add_child(p, KIND_KEYRING, 0);
	give(add_child(p, KIND_NURSERY, 0), parse[0]);
	for (size_t i = 0; i < workers; i++) {
		struct child *c = add_child(p, KIND_WORKER, (int)i);
		give(c, parse[1]);
		give(c, send[0]);
		for (size_t m = 0; m < mailboxes; m++)
			give(c, offers[m][0]);
	}
	give(add_child(p, KIND_SENDER, 0), send[1]);
	for (size_t m = 0; m < mailboxes; m++)
		give(add_child(p, KIND_INTAKE, (int)m), offers[m][1]);
	return ERR_OK;
}

/* In the child: descriptors at their places, everything else closed, then the same binary anew. */
static _Noreturn void become(const struct parent *p, const struct child *c, int report)
{
	int from[FDS_MAX + 2], keep[FDS_MAX + 2];
	size_t n = 0;
	char index[16], sockets[16], wall[24], running[24];

	from[n++] = report;
	from[n++] = p->conf_fd;
	for (size_t i = 0; i < c->fd_count; i++)
		from[n++] = c->fds[i];
	/* Above every place first: a place may hold a descriptor that is still to be moved. */
	for (size_t i = 0; i < n; i++)
		if ((from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 256)) < 0)
			_exit(71);
	for (size_t i = 0; i < n; i++) {
		keep[i] = ROLE_FD_REPORT + (int)i;
		if (dup2(from[i], keep[i]) < 0)
			_exit(71);
	}
	confine_descriptors(keep, n);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != p->pid) /* it died before that */
		_exit(71);
	snprintf(index, sizeof index, "%d", c->index);
	snprintf(sockets, sizeof sockets, "%zu", c->fd_count);
	snprintf(wall, sizeof wall, "%lld", (long long)p->start.wall);
	snprintf(running, sizeof running, "%lld", (long long)p->start.running_ms);
	execl("/proc/self/exe", "countersignd", "--role", kind_names[c->kind], index, sockets,
	    p->once ? "once" : "stay", wall, running, (char *)NULL);
	_exit(71);
}

static void start_child(struct parent *p, struct child *c)
{
	int pair[2];

	if (make_pair(pair) != ERR_OK) {
		c->start_at_ms = when_monotonic_ms() + 1000;
		return;
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	pid_t pid = fork();
	if (pid == 0)
		become(p, c, pair[1]);
	close(pair[1]);
	if (c->report >= 0)
		close(c->report);
	c->report = pair[0];
	c->started_ms = when_monotonic_ms();
	c->reported = c->ready = c->unable = false;
	c->since = when_now();
	c->next_try = 0;
	snprintf(c->why, sizeof c->why, "starting");
	if (pid < 0) {
		journal_error("cannot start %s: %s", kind_names[c->kind], strerror(errno));
		c->start_at_ms = c->started_ms + 1000;
		return;
	}
	c->pid = pid;
}

/* Whether what this child stands on is there: keys and parser before workers, workers before the mailbox. */
static bool may_start(const struct parent *p, const struct child *c)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct child *o = &p->children[i];
		if (o->kind >= c->kind || (o->kind == KIND_SENDER && !p->once) ||
		    o->kind == c->kind)
			continue;
		if (o->kind == KIND_SENDER)
			continue;
		if (!o->ready)
			return false;
	}
	/* --once: the sender comes when the mailboxes are done, and sends what they caused. */
	if (p->once && c->kind == KIND_SENDER)
		for (size_t i = 0; i < p->count; i++)
			if (p->children[i].kind == KIND_INTAKE && p->children[i].wanted)
				return false;
	return true;
}

static void start_due(struct parent *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct child *c = &p->children[i];
		if (c->wanted && c->pid == 0 && when_monotonic_ms() >= c->start_at_ms &&
		    may_start(p, c))
			start_child(p, c);
	}
}

static struct child *child_of(struct parent *p, pid_t pid)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->children[i].pid == pid)
			return &p->children[i];
	return NULL;
}

static void buried(struct parent *p, struct child *c, int status)
{
	int64_t now = when_monotonic_ms();

	c->pid = 0;
	if (c->ready)
		c->since = when_now();
	c->ready = false;
	c->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (p->once && (c->kind == KIND_INTAKE || c->kind == KIND_SENDER) && WIFEXITED(status)) {
		c->wanted = false;
		return;
	}
	if (!c->wanted)
		return;
	if (now - c->started_ms > STEADY_SECONDS * 1000)
		c->failures = 0;
	int64_t wait = c->failures == 0 ? 0 : (int64_t)1 << (c->failures < 6 ? c->failures - 1 : 6);
	if (wait > BACK_OFF_MOST_SECONDS)
		wait = BACK_OFF_MOST_SECONDS;
	c->failures++;
	c->start_at_ms = now + wait * 1000;
	if (p->once && c->unable)
		return; /* once_status says why */
	if (WIFSIGNALED(status))
		journal_error("%s %d was killed by signal %d; starting it again",
		    kind_names[c->kind], c->index, WTERMSIG(status));
	else
		journal_warning("%s %d ended with status %d; starting it again",
		    kind_names[c->kind], c->index, c->status);
	if (!c->unable)
		snprintf(c->why, sizeof c->why, "it died and is started again");
}

static void bury(struct parent *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = child_of(p, pid);
		if (c)
			buried(p, c, status);
	}
}

static void take_report(struct child *c, struct bytes body)
{
	struct wire w = wire_open(body);
	bool ready = wire_u8(&w) != 0;
	char *why = wire_text(&w);

	if (!c->reported || ready != c->ready || (ready && (why != NULL) != (*c->why != '\0')))
		c->since = when_now();
	c->reported = true;
	c->ready = ready;
	c->unable = !ready;
	c->next_try = wire_i64(&w);
	c->waiting = wire_i64(&w);
	snprintf(c->why, sizeof c->why, "%s", why ? why : "");
	str_free(&why);
}

static void hear(struct child *c)
{
	struct packet packet;

	while (c->report >= 0 && packet_receive(c->report, &packet) == ERR_OK) {
		if (packet.type == PACKET_REPORT)
			take_report(c, buf_bytes(&packet.body));
		packet_free(&packet);
	}
}

/* sd_notify(3) without the library: one datagram. */
static void notify_service_manager(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (!path || !*path || strlen(path) >= sizeof to.sun_path)
		return;
	memcpy(to.sun_path, path, strlen(path));
	if (to.sun_path[0] == '@')
		to.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, len) < 0)
		journal_debug("cannot notify the service manager: %s", strerror(errno));
	close(fd);
}

/* Whose trouble is the mail server's: it goes on trying, and all the others go on working. */
static bool has_server(const struct child *c)
{
	return c->kind == KIND_INTAKE || c->kind == KIND_SENDER;
}

/* What of ours can't work, or NULL. */
static const struct child *find_missing(const struct parent *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct child *c = &p->children[i];
		if (c->wanted && !c->ready && !(has_server(c) && c->reported && c->pid > 0))
			return c;
	}
	return NULL;
}

/* One of several mailboxes is enough to work; NULL: at least one can be read. */
static const struct child *find_no_mailbox(const struct parent *p)
{
	const struct child *none = NULL;

	for (size_t i = 0; i < p->count; i++) {
		const struct child *c = &p->children[i];
		if (c->kind != KIND_INTAKE || !c->wanted)
			continue;
		if (c->ready)
			return NULL;
		none = none ? none : c;
	}
	return none;
}

/* A line for each process, fields with tabs between: role, number, state, since when, next try, mails waiting, server, why. */
static void add_child_line(const struct parent *p, const struct child *c, struct buf *out)
{
	const char *server = c->kind == KIND_INTAKE   ? p->conf->mailbox[c->index].server.url
			     : c->kind == KIND_SENDER ? p->conf->submit.server.url
						      : "";
	const char *state = c->ready    ? (*c->why ? "hindered" : "ready")
			    : c->unable ? "failing"
					: "starting";
	char *why = utf8_printable(c->why, false);

	buf_addf(out, "%s\t%d\t%s\t%lld\t%lld\t%lld\t%s\t%s\n", kind_names[c->kind], c->index,
	    state, (long long)c->since, (long long)c->next_try, (long long)c->waiting, server, why);
	str_free(&why);
}

static void write_status(const struct parent *p, const char *text)
{
	char *path = path_join(p->conf->authority.runtime_directory, "status");

	if (file_write(path, 0600, bytes_of_text(text)) != ERR_OK)
		journal_warning("%s", err_text());
	str_free(&path);
}

static bool says(const char *status, const char *line)
{
	size_t len = strlen(line);

	return status && strncmp(status, line, len) == 0 && status[len] == '\n';
}

/* For countersignctl and the service manager, once each time it changes. To the latter we are up when all of ours works, whatever the mail servers do. */
static void tell(struct parent *p, const char *line, bool well)
{
	struct buf text = BUF_INIT;
	bool first = !p->status, news = !says(p->status, line);

	buf_addf(&text, "%s\n", line);
	for (size_t i = 0; i < p->count; i++)
		add_child_line(p, &p->children[i], &text);
	if (!str_equal(p->status, buf_text(&text)))
		write_status(p, buf_text(&text));
	str_free(&p->status);
	p->status = buf_take_text(&text);
	if (news || (well && !p->told_well)) {
		char *notice =
		    str_printf("%sSTATUS=%s", well && !p->told_well ? "READY=1\n" : "", line);
		notify_service_manager(notice);
		p->told_well |= well;
		str_free(&notice);
	}
	if (news && str_equal(line, "ready"))
		journal_info("%s", line);
	else if (news && !well && !first) /* of its server's trouble each process speaks itself */
		journal_warning("%s", line);
}

/* Ready means: everything of ours can work, and at least one mailbox can be read. What is only starting changes nothing. */
static void judge(struct parent *p)
{
	const struct child *ours = find_missing(p), *missing = ours ? ours : find_no_mailbox(p);
	char *line = NULL;

	if (missing && p->once)
		return;
	if (!missing)
		line = str_dup("ready");
	else if (!missing->reported)
		line = str_ndup(p->status, strcspn(p->status, "\n"));
	else if (!ours)
		line = str_printf("not ready: mailbox %s: %s",
		    p->conf->mailbox[missing->index].server.url, missing->why);
	else
		line = str_printf("not ready: %s: %s", kind_names[missing->kind], missing->why);
	tell(p, line, !ours);
	str_free(&line);
}

static bool any_running(const struct parent *p, enum kind kind)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->children[i].kind == kind && p->children[i].pid > 0)
			return true;
	return false;
}

static void signal_kind(const struct parent *p, enum kind kind, int number)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->children[i].kind == kind && p->children[i].pid > 0)
			kill(p->children[i].pid, number);
}

static void stop_kind(struct parent *p, enum kind kind, int64_t deadline_ms)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->children[i].kind == kind)
			p->children[i].wanted = false;
	signal_kind(p, kind, SIGTERM);
	while (any_running(p, kind)) {
		if (when_monotonic_ms() > deadline_ms) {
			signal_kind(p, kind, SIGKILL);
			deadline_ms = INT64_MAX;
		}
		poll(NULL, 0, 5);
		bury(p);
	}
}

/* Intake first, so that nothing new begins; then who may still finish; the keys last. Within five seconds in all. */
static void stop_all(struct parent *p)
{
	static const enum kind order[] = { KIND_INTAKE, KIND_SENDER, KIND_WORKER, KIND_NURSERY };
	int64_t deadline_ms = when_monotonic_ms() + STOP_MS;

	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		stop_kind(p, order[i], deadline_ms);
	stop_kind(p, KIND_KEYRING, when_monotonic_ms() + STOP_KEYS_MS);
	for (size_t i = 0; i < p->count; i++) {
		if (p->children[i].report >= 0)
			close(p->children[i].report);
		/* A descriptor that several children were given is closed once: the others see EBADF, harmlessly. */
		for (size_t f = 0; f < p->children[i].fd_count; f++)
			close(p->children[i].fds[f]);
	}
	p->count = 0;
}

static bool once_is_over(const struct parent *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct child *c = &p->children[i];
		if ((c->kind == KIND_INTAKE || c->kind == KIND_SENDER) && c->wanted)
			return false;
	}
	return true;
}

/* With --once a role that says it can't work, or dies again and again, ends the run: there is nobody to wait for a repair. */
static bool once_is_hopeless(const struct parent *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct child *c = &p->children[i];
		if (c->wanted && c->unable && (c->pid == 0 || c->kind == KIND_KEYRING))
			return true;
		if (c->wanted && c->failures >= ONCE_FAILURES_MOST)
			return true;
	}
	return false;
}

static int once_status(const struct parent *p)
{
	int worst = 0;
	for (size_t i = 0; i < p->count; i++) {
		const struct child *c = &p->children[i];
		if (c->wanted && c->unable) {
			journal_error("%s", c->why);
			return c->status ? c->status : err_exit_status(ERR_UNAVAILABLE);
		}
		if (c->wanted && c->failures >= ONCE_FAILURES_MOST)
			return err_exit_status(ERR_SOFTWARE);
		if ((c->kind == KIND_INTAKE || c->kind == KIND_SENDER) && c->status > worst)
			worst = c->status;
	}
	return worst;
}

/* One look round: returns the signal to act on, or 0. */
static int turn(struct parent *p, int signal_fd)
{
	struct pollfd fds[CHILDREN_MAX + 1];
	nfds_t n = 0;

	fds[n++] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
	for (size_t i = 0; i < p->count; i++)
		fds[n++] =
		    (struct pollfd){ .fd = p->children[i].pid > 0 ? p->children[i].report : -1,
			    .events = POLLIN };
	int64_t wait = 10000;
	for (size_t i = 0; i < p->count; i++) {
		const struct child *c = &p->children[i];
		if (c->wanted && c->pid == 0 && may_start(p, c) &&
		    c->start_at_ms - when_monotonic_ms() < wait)
			wait = c->start_at_ms - when_monotonic_ms();
	}
	if (poll(fds, n, wait < 0 ? 0 : (int)wait) < 0 && errno != EINTR)
		journal_error("poll: %s", strerror(errno));
	for (size_t i = 0; i < p->count; i++)
		hear(&p->children[i]);
	bury(p);
	for (int s; (s = stop_signal(signal_fd)) != 0;)
		if (s != SIGCHLD)
			return s;
	return 0;
}

/*
 * Before anything is started, so that one sentence says what each child would say. In a child, as the parent opens no store; what it found fits into a pipe.
 */
static enum err check_store(const char *path)
{
	struct {
		enum err rc;
		char why[1000];
	} found = { .rc = ERR_SYSTEM, .why = "the store could not be looked at" };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_fail(ERR_SYSTEM, "cannot make a pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		struct authority *authority = NULL;
		found.rc = authority_open(path, AUTHORITY_STORE, &authority);
		snprintf(found.why, sizeof found.why, "%s", err_text());
		authority_close(&authority);
		_exit(write(ends[1], &found, sizeof found) < 0);
	}
	close(ends[1]);
	if (pid > 0) {
		while (read(ends[0], &found, sizeof found) < 0 && errno == EINTR)
			;
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
	if (found.rc == ERR_OK || found.rc == ERR_TEMPORARY) /* busy now: it is there */
		return ERR_OK;
	return err_fail(found.rc, "%s", found.why);
}

static enum err read_conf(const char *path, struct parent *p)
{
	struct buf text = BUF_INIT;
	struct conf *conf = NULL;
	int fd = -1;
	enum err rc = conf_read(path, &conf);

	if (rc == ERR_OK && p->conf &&
	    !str_equal(conf->authority.state_directory, p->conf->authority.state_directory))
		rc = err_fail(ERR_CONFIG,
		    "another state-directory needs a restart: the lock is on %s (I16)",
		    p->conf->authority.state_directory);
	if (rc == ERR_OK)
		rc = authority_check_conf(conf);
	if (rc == ERR_OK && conf->mailbox_count == 0)
		rc = err_fail(ERR_CONFIG, "%s names no mailbox to watch", path);
	if (rc == ERR_OK && p->conf)
		rc = check_store(path);
	if (rc == ERR_OK)
		rc = file_read(path, 1u << 20, &text);
	if (rc == ERR_OK)
		rc = memfd_make(buf_bytes(&text), &fd);
	buf_free(&text);
	if (rc != ERR_OK) {
		conf_free(&conf);
		return rc;
	}
	conf_free(&p->conf);
	if (p->conf_fd >= 0)
		close(p->conf_fd);
	p->conf = conf;
	p->conf_fd = fd;
	return ERR_OK;
}

/* Runs one generation of children; returns the signal that ended it, or 0 when --once is over. */
static int generation(struct parent *p, int signal_fd)
{
	enum err rc = lay_out(p);
	str_free(&p->status);
	p->told_well = false;
	tell(p, "not ready: starting", false); /* what the file says may be of an earlier life */
	if (rc != ERR_OK) {
		journal_error("%s", err_text());
		return SIGTERM;
	}
	for (;;) {
		start_due(p);
		int s = turn(p, signal_fd);
		judge(p);
		if (s)
			return s;
		if (p->once && (once_is_over(p) || once_is_hopeless(p)))
			return 0;
	}
}

static int run(struct parent *p, int signal_fd)
{
	for (;;) {
		int s = generation(p, signal_fd);
		int status = p->once && s == 0 ? once_status(p) : 0;
		if (s)
			notify_service_manager(s == SIGHUP ? "RELOADING=1" : "STOPPING=1");
		stop_all(p);
		if (s != SIGHUP)
			return s == 0 ? status : p->once ? err_exit_status(ERR_TEMPORARY) : 0;
		char *path = str_dup(p->conf->path);
		if (read_conf(path, p) == ERR_OK)
			journal_info("configuration read again");
		else
			journal_error("keeping the configuration as it was: %s", err_text());
		str_free(&path);
	}
}

/*
 * Throw-away homes of an earlier life. Those of commands that run now are young, so the old ones are nobody's.
 */
static void clear_homes(const char *runtime)
{
	DIR *dir = opendir(runtime);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char *path = path_join(runtime, entry->d_name);
		struct stat st;
		if (str_starts(entry->d_name, "keyhome-") && lstat(path, &st) == 0 &&
		    st.st_mtime < when_now() - STALE_HOME_SECONDS &&
		    file_remove_tree(path) != ERR_OK)
			journal_warning("%s", err_text());
		str_free(&path);
	}
	if (dir)
		closedir(dir);
}

/* One instance per state directory (I16). A command that brings its own agent holds the lock for a moment. */
static enum err take_lock(const struct conf *conf, int *lock_out)
{
	char *path = authority_lock_path(conf);
	int64_t until = when_monotonic_ms() + LOCK_AWAIT_MS;
	enum err rc;

	while ((rc = file_lock(path, lock_out)) == ERR_TEMPORARY && when_monotonic_ms() < until)
		poll(NULL, 0, 50);
	if (rc == ERR_TEMPORARY)
		rc = err_fail(ERR_TEMPORARY, "another countersignd runs on %s",
		    conf->authority.state_directory);
	str_free(&path);
	return rc;
}

int supervise(const char *conf_path, bool once)
{
	struct parent p = { .conf_fd = -1, .once = once, .pid = getpid(), .start = clock_read() };
	int lock = -1;
	enum err rc = read_conf(conf_path, &p);

	if (rc == ERR_OK)
		rc = authority_prepare_runtime(
		    p.conf->authority.runtime_directory, p.conf->authority.state_directory);
	if (rc == ERR_OK)
		rc = confine_become_owner(p.conf->authority.state_directory);
	if (rc == ERR_OK)
		rc = check_store(conf_path);
	if (rc == ERR_OK)
		rc = take_lock(p.conf, &lock);
	if (rc == ERR_OK)
		clear_homes(p.conf->authority.runtime_directory);
	if (rc != ERR_OK) {
		fprintf(stderr, "countersignd: %s\n", err_text());
		conf_free(&p.conf);
		return err_exit_status(rc);
	}
	int signal_fd = stop_open((int[]){ SIGTERM, SIGINT, SIGHUP, SIGCHLD, 0 });
	int status = run(&p, signal_fd);
	char *ready = path_join(p.conf->authority.runtime_directory, "status");
	unlink(ready);
	str_free(&ready);
	str_free(&p.status);
	close(p.conf_fd);
	close(lock);
	conf_free(&p.conf);
	return status;
}
