/*
 * fuzz_fault_rules.c: any text gives rules that can be asked, or a message.
 */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct fault_rules *rules)
{
	struct wrapper_call call = {.operation = WRAPPER_GET, .key = "accounts/1f/0000001a/owner"};

	for (size_t i = 0; i < rules->n; i++) {
		(void)fault_rule_matches(&rules->rules[i], &call);
		for (uint64_t count = 1; count < 5; count++)
			(void)fault_rule_is_due(&rules->rules[i], count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fault_rules rules;
	char *text = malloc(size + 1), *message = NULL;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (fault_rules_parse(text, &rules, &message) == 0)
		ask(&rules);
	else if (message == NULL)
		abort();
	free(message);
	free(text);
	return 0;
}
