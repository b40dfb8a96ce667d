#include <config.h>
#include "util/failpoint.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "util/parse_number.h"

#define NAME_MAX_BYTES 64

static char chosen[NAME_MAX_BYTES];
static _Atomic uint64_t left;

int failpoint_set(const char *rule)
{
	const char *colon = strchr(rule, ':');
	size_t n = colon != NULL ? (size_t)(colon - rule) : strlen(rule);
	uint64_t count = 1;

	if (n == 0 || n >= sizeof(chosen))
		return -EINVAL;
	if (colon != NULL && (parse_number_u64(colon + 1, UINT32_MAX, &count) < 0 || count == 0))
		return -EINVAL;
	memcpy(chosen, rule, n);
	chosen[n] = '\0';
	atomic_store(&left, count);
	return 0;
}

void failpoint(const char *name)
{
	if (atomic_load_explicit(&left, memory_order_relaxed) == 0 || strcmp(name, chosen) != 0)
		return;
	if (atomic_fetch_sub(&left, 1) == 1)
		(void)kill(getpid(), SIGKILL);
}
