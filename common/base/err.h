/*
 * err: the one error currency. A function that can fail returns `enum err` and, where the fault is
 * known, builds the sentence for people: `return err_fail(ERR_IO, "cannot read %s: %s", path, strerror(errno));`
 * The sentence says what was wrong and, where it helps, what to do; no trailing full stop, no newline.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define CHECKED __attribute__((warn_unused_result))
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))

enum err {
	ERR_OK = 0,
	ERR_USAGE,   /* the command line is wrong (EX_USAGE, 64) */
	ERR_DATA,    /* input is malformed or does not fit (EX_DATAERR, 65) */
	ERR_NOINPUT, /* a named file is missing or unreadable (EX_NOINPUT, 66) */
	ERR_NOUSER,  /* no such address, token, keyset (EX_NOUSER, 67) */
	ERR_UNAVAILABLE, /* something we need is not there: agent, server, passphrase (EX_UNAVAILABLE, 69) */
	ERR_SOFTWARE,  /* our own fault (EX_SOFTWARE, 70) */
	ERR_SYSTEM,    /* fork, memory, descriptors (EX_OSERR, 71) */
	ERR_CREATE,    /* an output file can't be made, or exists (EX_CANTCREAT, 73) */
	ERR_IO,        /* reading or writing failed (EX_IOERR, 74) */
	ERR_TEMPORARY, /* busy or full: the same thing may work later (EX_TEMPFAIL, 75) */
	ERR_PROTOCOL, /* a signature, pin, hash or format of a peer does not hold (EX_PROTOCOL, 76) */
	ERR_DENIED,   /* permission, wrong password, cancelled (EX_NOPERM, 77) */
	ERR_CONFIG,   /* configuration (EX_CONFIG, 78) */
};

/* Keeps the sentence for err_text() (one per thread, cut at 1,023 bytes) and returns `code`. */
enum err err_fail(enum err code, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "PREFIX: " in front of the sentence kept last, and returns `code`. */
enum err err_prefix(enum err code, const char *format, ...) PRINTF_LIKE(2, 3);

/* The sentence kept last by this thread; never NULL. Valid until the next err_fail. */
const char *err_text(void);

/* The exit status of <sysexits.h> for a code; 0 for ERR_OK. */
int err_exit_status(enum err code);

/* True for faults that time may cure (UNAVAILABLE, SYSTEM, IO, TEMPORARY): the mail is deferred. */
int err_is_passing(enum err code);

#endif
