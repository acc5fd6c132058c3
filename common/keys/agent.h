/* agent: gpg-agent of the authority's home, its passphrase, and pinentry. */
#ifndef KEYS_AGENT_H
#define KEYS_AGENT_H

#include <sys/types.h>

#include "base/buf.h"

/*
 * Writes the home's gpg-agent.conf and gpg.conf and clears stale locks; the caller holds the state lock. ERR_CONFIG when the path is
 * too long for a socket. Nobody is ever asked there, and gpg starts no agent by itself: agent_start comes before anything in this home.
 */
CHECKED enum err agent_prepare(const char *home);
/*
 * Starts gpg-agent as our child in the foreground and waits until it answers; it ends with us. ERR_UNAVAILABLE "… runs already".
 * Whoever has the pid waits for it, also after agent_stop.
 */
CHECKED enum err agent_start(const char *home, pid_t *pid_out);
bool agent_running(const char *home);
/* Presets the passphrase for every secret key of the home and proves it: signs, decrypts. ERR_DENIED for a wrong one, which is
 * forgotten. Empty: the keys have none. */
CHECKED enum err agent_unlock(const char *home, struct bytes passphrase);
/* Has every secret key of the home a passphrase? A preset one opens those without as well. ERR_DENIED otherwise. */
CHECKED enum err agent_protected(const char *home);
/* Can the keys be used now without asking? ERR_UNAVAILABLE otherwise, with the reason. */
CHECKED enum err agent_check(const char *home);
/* Ends whatever agent serves the home; err_text() may change. */
void agent_stop(const char *home);
/* Re-reads gpg-agent.conf (RELOADAGENT). */
CHECKED enum err agent_reload(const char *home);

/*
 * Asks a person through this home's gpg-agent and pinentry (GET_PASSPHRASE). `prompt` is one paragraph. With
 * `repeat` it is asked twice. ERR_DENIED on Cancel. Nothing is cached.
 */
CHECKED enum err agent_ask(
    const char *home, const char *prompt, const char *error, bool repeat, struct buf *out);

enum dialog_answer { DIALOG_OK, DIALOG_NOT_OK, DIALOG_CANCEL };
/* Talks to pinentry itself (no terminal needed): CONFIRM with up to three buttons (NULL: no such button), MESSAGE. */
CHECKED enum err dialog_confirm(const char *text, const char *ok, const char *not_ok,
    const char *cancel, enum dialog_answer *out);
CHECKED enum err dialog_message(const char *text);

#endif
