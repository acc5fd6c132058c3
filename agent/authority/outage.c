#include "outage.h"

#include "keys/agent.h"
#include "stages.h"

enum err outage_before(const struct authority *authority)
{
	enum err rc = agent_check(authority->key_home);

	return rc == ERR_OK ? keyhome_reset(authority->home) : rc;
}

static bool parser_fails(const struct work *w)
{
	struct work probe = { .authority = w->authority, .nursery = w->nursery };
	enum err rc = work_parse(
	    &probe, bytes_of_text("Subject: proof\r\n\r\nproof\r\n"), false, &probe.message);

	message_free(&probe.message);
	return rc != ERR_OK;
}

bool outage_after(const struct work *w)
{
	const struct authority *a = w->authority;

	if (store_hindered(a->store) || parser_fails(w))
		return true;
	if (agent_check(a->key_home) != ERR_OK)
		return false;
	return keyhome_prove(a->home, a->fingerprint) != ERR_OK ||
	       (w->request.deposit.len > 0 && deposit_works(a) != ERR_OK);
}
