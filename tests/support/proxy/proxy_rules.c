#include <config.h>
#include "proxy/proxy_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/checksum.h"
#include "util/message.h"
#include "util/parse_number.h"

static const struct {
	const char *name;
	enum proxy_action action;
} actions[] = {
	{"reset", PROXY_RESET},
	{"hang", PROXY_HANG},
	{"cut_request", PROXY_CUT_REQUEST},
	{"spoil_request", PROXY_SPOIL_REQUEST},
	{"cut_answer", PROXY_CUT_ANSWER},
	{"short_answer", PROXY_SHORT_ANSWER},
	{"long_length", PROXY_LONG_LENGTH},
	{"short_length", PROXY_SHORT_LENGTH},
	{"corrupt", PROXY_CORRUPT},
};

static int parse_word(const char *word, struct proxy_rule *rule)
{
	if (strcmp(word, "after") == 0) {
		rule->after = true;
		return 0;
	}
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, word) == 0) {
			rule->action = actions[i].action;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_term(char *word, struct proxy_rule *rule)
{
	const struct {
		const char *name;
		uint64_t *field, max;
	} numbers[] = {
		{"nth", &rule->first, UINT64_MAX},
		{"from", &rule->first, UINT64_MAX},
		{"every", &rule->every, UINT64_MAX},
		{"times", &rule->times, UINT64_MAX},
		{"percent", &rule->percent, 100},
		{"delay", &rule->delay_ms, PROXY_RULES_MAX_DELAY_MS},
		{"status", &rule->status, 99999},
	};
	char *value = strchr(word, '=');

	if (value == NULL)
		return parse_word(word, rule);
	*value++ = '\0';
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(numbers[i].name, word) != 0)
			continue;
		if (parse_number_u64(value, numbers[i].max, numbers[i].field) < 0 ||
			*numbers[i].field == 0)
			return -EINVAL;
		if (strcmp(word, "nth") == 0)
			rule->last = rule->first;
		if (strcmp(word, "every") == 0)
			rule->first = rule->every;
		if (strcmp(word, "status") == 0)
			rule->action = PROXY_STATUS;
		return 0;
	}
	return -EINVAL;
}

static int parse_rule(char *text, struct proxy_rule *ret)
{
	struct proxy_rule rule = {.first = 1, .every = 1, .percent = 100};
	char *rest = NULL, *word = strtok_r(text, ":", &rest);

	if (word == NULL || strlen(word) >= sizeof(rule.operation))
		return -EINVAL;
	memcpy(rule.operation, word, strlen(word) + 1);
	while ((word = strtok_r(NULL, ":", &rest)) != NULL) {
		if (parse_term(word, &rule) < 0)
			return -EINVAL;
	}
	if (rule.action == PROXY_PASS && rule.delay_ms == 0)
		return -EINVAL;
	*ret = rule;
	return 0;
}

int proxy_rules_parse(const char *text, struct proxy_rules *ret, char **ret_message)
{
	struct proxy_rules rules = {.n = 0};
	char *copy = strdup(text), *rest = NULL;
	int r = copy == NULL ? -ENOMEM : 0;

	for (char *word = r < 0 ? NULL : strtok_r(copy, ";", &rest); word != NULL && r == 0;
		word = strtok_r(NULL, ";", &rest))
		r = rules.n == PROXY_RULES_MAX ? -EINVAL
					       : parse_rule(word, &rules.rules[rules.n++]);
	free(copy);
	if (r < 0)
		return message_set(ret_message, r, "proxy: cannot understand rule %zu of \"%s\"",
			rules.n, text);
	*ret = rules;
	return 0;
}

static bool is_due(struct proxy_rules *rules, const struct proxy_rule *rule)
{
	if (rule->n_seen < rule->first || (rule->last != 0 && rule->n_seen > rule->last) ||
		(rule->n_seen - rule->first) % rule->every != 0 ||
		(rule->times != 0 && rule->n_hits >= rule->times))
		return false;
	if (rule->percent == 100)
		return true;
	rules->random++;
	return checksum_64(&rules->random, sizeof(rules->random)) % 100 < rule->percent;
}

const struct proxy_rule *proxy_rules_choose(struct proxy_rules *rules, const char *operation)
{
	for (size_t i = 0; i < rules->n; i++) {
		struct proxy_rule *rule = &rules->rules[i];

		if (strcmp(rule->operation, "any") != 0 && strcmp(rule->operation, operation) != 0)
			continue;
		rule->n_seen++;
		if (is_due(rules, rule)) {
			rule->n_hits++;
			return rule;
		}
	}
	return NULL;
}
