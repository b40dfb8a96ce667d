#include <config.h>
#include "backends/fault_rules.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include "util/checksum.h"
#include "util/message.h"
#include "util/parse_number.h"

#define WORD_MAX_BYTES 256
#define MAX_ERRNO 4095

static const struct {
	const char *name;
	int error;
} error_names[] = {
	{"EACCES", EACCES},
	{"EAGAIN", EAGAIN},
	{"EBADMSG", EBADMSG},
	{"EBUSY", EBUSY},
	{"ECANCELED", ECANCELED},
	{"ECONNREFUSED", ECONNREFUSED},
	{"ECONNRESET", ECONNRESET},
	{"EDQUOT", EDQUOT},
	{"EEXIST", EEXIST},
	{"EFBIG", EFBIG},
	{"EHOSTUNREACH", EHOSTUNREACH},
	{"EINTR", EINTR},
	{"EINVAL", EINVAL},
	{"EIO", EIO},
	{"ENETUNREACH", ENETUNREACH},
	{"ENOENT", ENOENT},
	{"ENOMEM", ENOMEM},
	{"ENOSPC", ENOSPC},
	{"EOPNOTSUPP", EOPNOTSUPP},
	{"EPERM", EPERM},
	{"ERANGE", ERANGE},
	{"EROFS", EROFS},
	{"ESTALE", ESTALE},
	{"ETIMEDOUT", ETIMEDOUT},
};

static int parse_error(const char *text, int *ret)
{
	uint64_t number;

	for (size_t i = 0; i < sizeof(error_names) / sizeof(error_names[0]); i++) {
		if (strcmp(error_names[i].name, text) == 0) {
			*ret = -error_names[i].error;
			return 0;
		}
	}
	if (parse_number_u64(text, MAX_ERRNO, &number) < 0 || number == 0)
		return -EINVAL;
	*ret = -(int)number;
	return 0;
}

static int parse_operation(const char *word, struct fault_rule *rule)
{
	rule->any_operation = strcmp(word, "any") == 0;
	for (int i = 0; i < WRAPPER_N_OPERATIONS && !rule->any_operation; i++) {
		if (strcmp(word, wrapper_operation_name((enum wrapper_operation)i)) == 0) {
			rule->operation = (enum wrapper_operation)i;
			return 0;
		}
	}
	return rule->any_operation ? 0 : -EINVAL;
}

static int parse_count(const char *value, uint64_t *ret)
{
	return parse_number_u64(value, UINT64_MAX, ret) < 0 || *ret == 0 ? -EINVAL : 0;
}

static int parse_nth(const char *value, struct fault_rule *rule)
{
	int r = parse_count(value, &rule->first);

	rule->last = rule->first;
	return r;
}

static int parse_from(const char *value, struct fault_rule *rule)
{
	return parse_count(value, &rule->first);
}

static int parse_every(const char *value, struct fault_rule *rule)
{
	int r = parse_count(value, &rule->every);

	rule->first = rule->every;
	return r;
}

static int parse_times(const char *value, struct fault_rule *rule)
{
	return parse_count(value, &rule->times);
}

static int parse_key(const char *value, struct fault_rule *rule)
{
	if (*value == '\0' || strlen(value) >= sizeof(rule->pattern))
		return -EINVAL;
	memcpy(rule->pattern, value, strlen(value) + 1);
	return 0;
}

/* "0.25"; without strtod(), which would follow the locale. */
static int parse_p(const char *value, struct fault_rule *rule)
{
	double weight = 1;

	if (strspn(value, "0123456789.") != strlen(value) || (value[0] != '0' && value[0] != '1') ||
		(value[1] != '\0' && (value[1] != '.' || strchr(value + 2, '.') != NULL)))
		return -EINVAL;
	rule->probability = value[0] - '0';
	for (const char *p = value + 1 + (value[1] != '\0'); *p != '\0'; p++) {
		weight /= 10;
		rule->probability += weight * (*p - '0');
	}
	return rule->probability <= 1 ? 0 : -EINVAL;
}

static int parse_seed(const char *value, struct fault_rule *rule)
{
	return parse_number_u64(value, UINT64_MAX, &rule->seed);
}

static int parse_error_term(const char *value, struct fault_rule *rule)
{
	return parse_error(value, &rule->error);
}

static int parse_delay(const char *value, struct fault_rule *rule)
{
	uint64_t ms;

	if (parse_number_duration_ms(value, &ms) < 0 || ms > FAULT_RULES_MAX_DELAY_MS)
		return -EINVAL;
	rule->delay_ms = (uint32_t)ms;
	return 0;
}

static int parse_truncate(const char *value, struct fault_rule *rule)
{
	rule->truncate = true;
	return parse_number_u64(value, UINT64_MAX, &rule->truncate_bytes);
}

static const struct {
	const char *name;
	int (*parse)(const char *value, struct fault_rule *rule);
} terms[] = {
	{"key", parse_key},
	{"nth", parse_nth},
	{"from", parse_from},
	{"every", parse_every},
	{"times", parse_times},
	{"p", parse_p},
	{"seed", parse_seed},
	{"error", parse_error_term},
	{"delay", parse_delay},
	{"truncate", parse_truncate},
};

static int parse_term(char *word, struct fault_rule *rule)
{
	char *value = strchr(word, '=');

	if (value == NULL) {
		bool *flag = strcmp(word, "after") == 0     ? &rule->after
			     : strcmp(word, "hang") == 0    ? &rule->hang
			     : strcmp(word, "corrupt") == 0 ? &rule->corrupt
							    : NULL;

		if (flag == NULL)
			return -EINVAL;
		*flag = true;
		return 0;
	}
	*value++ = '\0';
	for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
		if (strcmp(terms[i].name, word) == 0)
			return terms[i].parse(value, rule);
	}
	return -EINVAL;
}

/* Copies the word at *text; *text goes on to what ends it. */
static int take_word(const char **text, char word[WORD_MAX_BYTES])
{
	size_t size = strcspn(*text, ":;");

	if (size >= WORD_MAX_BYTES)
		return -EINVAL;
	memcpy(word, *text, size);
	word[size] = '\0';
	*text += size;
	return 0;
}

static int parse_rule(const char **text, struct fault_rule *ret, char **ret_message)
{
	struct fault_rule rule = {.first = 1, .every = 1, .probability = 1};
	const char *begin = *text;
	char word[WORD_MAX_BYTES];
	int r = take_word(text, word);

	if (r == 0)
		r = parse_operation(word, &rule);
	if (r < 0)
		return message_set(ret_message, -EINVAL,
			"fault rules: an operation (put, get, head, remove, remove_many, list, "
			"any) "
			"is expected at \"%.40s\"",
			begin);
	while (**text == ':') {
		begin = ++*text;
		r = take_word(text, word);
		if (r == 0)
			r = parse_term(word, &rule);
		if (r < 0)
			return message_set(ret_message, -EINVAL,
				"fault rules: cannot understand the term at \"%.40s\"", begin);
	}
	if (rule.error == 0 && rule.delay_ms == 0 && !rule.hang && !rule.corrupt && !rule.truncate)
		return message_set(ret_message, -EINVAL,
			"fault rules: the rule for %s says nothing to do (error=, delay=, hang, "
			"corrupt, truncate=)",
			rule.any_operation ? "any" : wrapper_operation_name(rule.operation));
	*ret = rule;
	return 0;
}

int fault_rules_parse(const char *text, struct fault_rules *ret, char **ret_message)
{
	struct fault_rules *rules = calloc(1, sizeof(*rules));
	int r = 0;

	if (rules == NULL)
		return message_set(ret_message, -ENOMEM, "fault rules: out of memory");
	if (strlen(text) > FAULT_RULES_MAX_TEXT_BYTES)
		r = message_set(ret_message, -EINVAL, "fault rules: longer than %d bytes",
			FAULT_RULES_MAX_TEXT_BYTES);
	while (r == 0 && *text != '\0') {
		if (rules->n == FAULT_RULES_MAX) {
			r = message_set(
				ret_message, -EINVAL, "fault rules: more than %d", FAULT_RULES_MAX);
			break;
		}
		r = parse_rule(&text, &rules->rules[rules->n], ret_message);
		rules->n++;
		if (*text == ';')
			text++;
	}
	if (r == 0)
		*ret = *rules;
	free(rules);
	return r;
}

bool fault_rule_matches(const struct fault_rule *rule, const struct wrapper_call *call)
{
	if (!rule->any_operation && rule->operation != call->operation)
		return false;
	if (rule->pattern[0] == '\0')
		return true;
	for (size_t i = 0; i < call->n_keys; i++) {
		if (fnmatch(rule->pattern, call->keys[i], 0) == 0)
			return true;
	}
	return call->operation != WRAPPER_REMOVE_MANY && fnmatch(rule->pattern, call->key, 0) == 0;
}

bool fault_rule_is_due(const struct fault_rule *rule, uint64_t count)
{
	uint64_t numbers[2] = {rule->seed, count}, chance;

	if (count < rule->first || (rule->last != 0 && count > rule->last) ||
		(count - rule->first) % rule->every != 0)
		return false;
	if (rule->probability >= 1)
		return true;
	chance = checksum_64(numbers, sizeof(numbers)) >> 11;
	return (double)chance < rule->probability * (double)(1ULL << 53);
}
