-- The store of one authority. Times are seconds since 1970 in UTC, and 0 says that it has not happened.
-- A state is never written down: it follows from these times (P8.1). What is true of every row is
-- said here as a CHECK, so that no program, not even sqlite3 in a hurry, can store anything else.
--
-- `row_check` is a row's own check (I10): BLAKE2b-256 over the table's name and all other columns.
-- Whoever reads a row compares, whoever changes it writes the check anew.

PRAGMA application_id = 1129531214; -- "CSGN"
PRAGMA user_version = 1;

-- Named texts about the authority itself: address, fingerprint, key, pin; `schema`, the SHA-256 of these
-- very definitions; `log-head`, number and hash of the newest log entry.
CREATE TABLE meta (
	name TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
	value TEXT NOT NULL CHECK (length(value) <= 1048576),
	row_check BLOB NOT NULL CHECK (length(row_check) = 32)
) STRICT, WITHOUT ROWID;

-- Tokens that were issued. Of the token itself only the public half of its key is here (P1.4), with
-- which nobody can make a request.
CREATE TABLE token (
	id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
	key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
	address TEXT NOT NULL CHECK (length(address) BETWEEN 3 AND 254),
	also TEXT CHECK (length(also) BETWEEN 3 AND 4096), -- further addresses (P4.7), one a line
	name TEXT CHECK (length(name) BETWEEN 1 AND 200), -- the recorded name
	keyset TEXT CHECK (length(keyset) BETWEEN 1 AND 32), -- the only keyset name it may make
	additional INTEGER NOT NULL CHECK (additional IN (0, 1)), -- beside an active keyset (P2.4)
	recovery INTEGER NOT NULL CHECK (recovery IN (0, 1)), -- its purpose, else enroll (P1.6)
	issued_by TEXT NOT NULL CHECK (length(issued_by) BETWEEN 1 AND 254),
	issued INTEGER NOT NULL CHECK (issued > 0),
	expires INTEGER NOT NULL CHECK (expires > issued),
	used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
	superseded INTEGER NOT NULL DEFAULT 0 CHECK (superseded >= 0),
	voided INTEGER NOT NULL DEFAULT 0 CHECK (voided >= 0),
	-- It will never be outstanding again: one of the three above, or another was issued after its expiry.
	closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),
	used_keyset INTEGER REFERENCES keyset (id), -- the keyset it made
	row_check BLOB NOT NULL CHECK (length(row_check) = 32),
	CHECK ((used > 0) + (superseded > 0) + (voided > 0) <= closed),
	CHECK ((used > 0) = (used_keyset IS NOT NULL))
) STRICT;

-- P1.6: one outstanding token per address.
CREATE UNIQUE INDEX token_outstanding ON token (address) WHERE closed = 0;
CREATE INDEX token_address ON token (address);

-- Keysets: one per enrollment, with the key as we certified it and the sealed reply, which is sent
-- again when the same request comes again (P5.3).
CREATE TABLE keyset (
	id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
	address TEXT NOT NULL CHECK (length(address) BETWEEN 3 AND 254),
	name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 32), -- as the user stated it
	folded TEXT NOT NULL CHECK (length(folded) BETWEEN 1 AND 32), -- what names compare by (P4.6)
	fingerprint TEXT NOT NULL CHECK (length(fingerprint) = 40 AND fingerprint NOT GLOB '*[^0-9A-F]*'),
	encryption_fingerprint TEXT NOT NULL CHECK (length(encryption_fingerprint) = 40
		AND encryption_fingerprint NOT GLOB '*[^0-9A-F]*'),
	user_id TEXT NOT NULL CHECK (length(user_id) BETWEEN 3 AND 1024),
	key BLOB NOT NULL CHECK (length(key) BETWEEN 1 AND 1048576), -- certified, binary
	request_id TEXT NOT NULL CHECK (length(request_id) BETWEEN 1 AND 998),
	request_hash BLOB NOT NULL CHECK (length(request_hash) = 32),
	nonce TEXT UNIQUE CHECK (length(nonce) BETWEEN 1 AND 128), -- of the reply (P5.4)
	plain INTEGER NOT NULL CHECK (plain IN (0, 1)), -- replied to a mail program (P6.3)
	reply BLOB NOT NULL CHECK (length(reply) <= 16777216), -- empty once it is not sent again (P5.3, P5.5)
	reply_message_id TEXT NOT NULL CHECK (length(reply_message_id) BETWEEN 1 AND 998),
	reply_hash BLOB NOT NULL CHECK (length(reply_hash) = 32),
	token INTEGER REFERENCES token (id),
	enrolled INTEGER NOT NULL CHECK (enrolled > 0),
	certified_until INTEGER NOT NULL CHECK (certified_until > 0),
	confirmed INTEGER NOT NULL DEFAULT 0 CHECK (confirmed >= 0),
	superseded INTEGER NOT NULL DEFAULT 0 CHECK (superseded >= 0),
	revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked >= 0),
	published INTEGER NOT NULL DEFAULT 0 CHECK (published >= 0),
	revoke_reason TEXT CHECK (length(revoke_reason) BETWEEN 1 AND 200),
	publish_due INTEGER NOT NULL DEFAULT 0 CHECK (publish_due IN (0, 1)), -- its address's WKD entry
	preferred INTEGER NOT NULL DEFAULT 0 CHECK (preferred IN (0, 1)), -- to be published (P5.4)
	row_check BLOB NOT NULL CHECK (length(row_check) = 32),
	CHECK (revoked > 0 OR revoke_reason IS NULL),
	CHECK (confirmed > 0 OR published = 0)
) STRICT;

-- P4.6: a name is in use once among the live keysets of an address.
CREATE UNIQUE INDEX keyset_live_name ON keyset (address, folded) WHERE superseded = 0 AND revoked = 0;
CREATE INDEX keyset_address ON keyset (address);
CREATE INDEX keyset_fingerprint ON keyset (fingerprint);
CREATE INDEX keyset_publish_due ON keyset (id) WHERE publish_due = 1;
CREATE UNIQUE INDEX keyset_preferred ON keyset (address) WHERE preferred = 1;

-- Deposits: secret encryption subkeys, each encrypted to the escrow key, which is not here (P4.8). One a keyset and subkey, whatever becomes
-- of the keyset: mails to it are there to be read (P5.5).
CREATE TABLE deposit (
	id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
	keyset INTEGER NOT NULL REFERENCES keyset (id),
	address TEXT NOT NULL CHECK (length(address) BETWEEN 3 AND 254),
	encryption_fingerprint TEXT NOT NULL CHECK (length(encryption_fingerprint) = 40
		AND encryption_fingerprint NOT GLOB '*[^0-9A-F]*'),
	escrow TEXT NOT NULL CHECK (length(escrow) = 40 AND escrow NOT GLOB '*[^0-9A-F]*'), -- sealed to this key
	sealed BLOB NOT NULL CHECK (length(sealed) BETWEEN 1 AND 1048576),
	hash BLOB NOT NULL CHECK (length(hash) = 32), -- SHA-256 of sealed
	created INTEGER NOT NULL CHECK (created > 0),
	row_check BLOB NOT NULL CHECK (length(row_check) = 32),
	UNIQUE (keyset, encryption_fingerprint)
) STRICT;

CREATE INDEX deposit_address ON deposit (address);
CREATE INDEX deposit_escrow ON deposit (escrow);

-- Deposits on their way back: sealed under a recovery token, of which the store knows nothing that could open them. They are gone with the
-- confirmation or with the token (P5.5).
CREATE TABLE release (
	id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
	token INTEGER NOT NULL REFERENCES token (id),
	encryption_fingerprint TEXT NOT NULL CHECK (length(encryption_fingerprint) = 40
		AND encryption_fingerprint NOT GLOB '*[^0-9A-F]*'),
	sealed BLOB NOT NULL CHECK (length(sealed) BETWEEN 1 AND 1048576),
	row_check BLOB NOT NULL CHECK (length(row_check) = 32),
	UNIQUE (token, encryption_fingerprint)
) STRICT;

-- Renewals: a new certification of a keyset, in force once its nonce came back (P5.4). The row stays for ever, so that a request sent again
-- changes nothing (P4.5); its key goes when it is in force or a newer one is, its reply with time.
CREATE TABLE renewal (
	id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
	keyset INTEGER NOT NULL REFERENCES keyset (id),
	request_id TEXT NOT NULL UNIQUE CHECK (length(request_id) BETWEEN 1 AND 1024),
	request_hash BLOB NOT NULL CHECK (length(request_hash) = 32),
	key BLOB CHECK (length(key) BETWEEN 1 AND 1048576), -- certified, binary
	encryption_fingerprint TEXT NOT NULL CHECK (length(encryption_fingerprint) = 40
		AND encryption_fingerprint NOT GLOB '*[^0-9A-F]*'),
	user_id TEXT NOT NULL CHECK (length(user_id) BETWEEN 3 AND 1024),
	nonce TEXT NOT NULL UNIQUE CHECK (length(nonce) BETWEEN 1 AND 128),
	plain INTEGER NOT NULL CHECK (plain IN (0, 1)), -- replied to a mail program (P6.3)
	reply BLOB CHECK (length(reply) BETWEEN 1 AND 16777216),
	reply_message_id TEXT NOT NULL CHECK (length(reply_message_id) BETWEEN 1 AND 998),
	reply_hash BLOB NOT NULL CHECK (length(reply_hash) = 32),
	created INTEGER NOT NULL CHECK (created > 0),
	certified_until INTEGER NOT NULL CHECK (certified_until > created),
	confirmed INTEGER NOT NULL DEFAULT 0 CHECK (confirmed >= 0),
	row_check BLOB NOT NULL CHECK (length(row_check) = 32),
	CHECK (confirmed = 0 OR key IS NULL)
) STRICT;

CREATE INDEX renewal_keyset ON renewal (keyset);

-- Mails to be sent, each fixed to the byte before its first sending (I2). It waits while neither sent nor
-- failed, and is due from `due` on; who takes it moves `due` on. What was sent is forgotten,
-- its row stays for the bounce that may come.
CREATE TABLE outbox (
	number INTEGER PRIMARY KEY AUTOINCREMENT CHECK (number > 0),
	id TEXT NOT NULL UNIQUE CHECK (length(id) = 26),
	kind TEXT NOT NULL CHECK (kind IN ('reply', 'repeat', 'refusal', 'notice', 'alarm', 'reminder')),
	sender TEXT NOT NULL CHECK (length(sender) <= 254), -- envelope; '' is the null sender
	recipient TEXT NOT NULL CHECK (length(recipient) BETWEEN 3 AND 254),
	message_id TEXT NOT NULL CHECK (length(message_id) BETWEEN 1 AND 998),
	mail BLOB CHECK (length(mail) BETWEEN 1 AND 67108864),
	created INTEGER NOT NULL CHECK (created > 0),
	due INTEGER NOT NULL CHECK (due > 0),
	sent INTEGER NOT NULL DEFAULT 0 CHECK (sent >= 0),
	failed INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
	bounced INTEGER NOT NULL DEFAULT 0 CHECK (bounced >= 0),
	attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	doubts INTEGER NOT NULL DEFAULT 0 CHECK (doubts >= 0), -- of the attempts: it may have arrived
	last_error TEXT CHECK (length(last_error) BETWEEN 1 AND 4096),
	row_check BLOB NOT NULL CHECK (length(row_check) = 32),
	CHECK ((sent > 0) = (mail IS NULL)),
	CHECK (sent = 0 OR failed = 0)
) STRICT;

CREATE INDEX outbox_waiting ON outbox (due, number) WHERE sent = 0 AND failed = 0;
CREATE INDEX outbox_message_id ON outbox (message_id);
CREATE INDEX outbox_created ON outbox (kind, created);
CREATE INDEX outbox_recipient ON outbox (recipient, kind, created);

-- How often the work at a mail was begun and not ended (I9), by a SHA-256 of the mail and where it lies. Once ended, its outcome: a mail that
-- could not be put away after that is offered again, and nothing happens twice (I17).
CREATE TABLE attempt (
	mail BLOB NOT NULL PRIMARY KEY CHECK (length(mail) = 32),
	count INTEGER NOT NULL CHECK (count >= 0),
	last INTEGER NOT NULL CHECK (last > 0),
	outcome INTEGER CHECK (outcome BETWEEN 0 AND 255)
) STRICT, WITHOUT ROWID;

-- When something was done last that is done only once in a while.
CREATE TABLE mark (
	name TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 320),
	at INTEGER NOT NULL CHECK (at > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE counter (
	name TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
	value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Mails that could not be worked on. Of one that carried a token or a secret key there are only the
-- headers, size and hash (P5.7).
CREATE TABLE quarantine (
	id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
	at INTEGER NOT NULL CHECK (at > 0),
	mailbox TEXT NOT NULL CHECK (length(mailbox) <= 4096),
	reason TEXT NOT NULL CHECK (length(reason) BETWEEN 1 AND 4096),
	headers TEXT NOT NULL CHECK (length(headers) <= 1048576),
	size INTEGER NOT NULL CHECK (size >= 0),
	hash BLOB NOT NULL CHECK (length(hash) = 32),
	mail BLOB CHECK (length(mail) <= 67108864)
) STRICT;

-- Whom log entries speak of. `who` is BLAKE2b-256 over salt and address. Without this row an entry's
-- `who` is noise, so erasing it makes the log forget a person and leaves the chain whole.
CREATE TABLE person (
	address TEXT NOT NULL PRIMARY KEY CHECK (length(address) BETWEEN 3 AND 254),
	salt BLOB NOT NULL CHECK (length(salt) = 32),
	who BLOB NOT NULL UNIQUE CHECK (length(who) = 32)
) STRICT, WITHOUT ROWID;

-- The audit log. `hash` is SHA-256 over the hash before (zeros before the first) and this entry, so that no
-- entry can be deleted, changed, moved or put in without a trace; the last ones can't be cut off, since the
-- head is in `meta` and in every reply (P6.4).
CREATE TABLE log (
	number INTEGER PRIMARY KEY CHECK (number > 0),
	at INTEGER NOT NULL CHECK (at > 0),
	actor TEXT NOT NULL CHECK (length(actor) BETWEEN 1 AND 254),
	event TEXT NOT NULL CHECK (length(event) BETWEEN 1 AND 64),
	who BLOB CHECK (length(who) = 32),
	detail TEXT CHECK (length(detail) <= 4096),
	hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX log_who ON log (who) WHERE who IS NOT NULL;
