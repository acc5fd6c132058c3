/* print_states: writes docs/states.md. */
#include "enroll/state.h"

int main(void)
{
	state_print(stdout);
	return fflush(stdout) || ferror(stdout);
}
