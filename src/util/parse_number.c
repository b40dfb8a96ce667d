#include <config.h>
#include "util/parse_number.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Reads digits; *rest is behind them. */
static int parse_digits(const char *text, uint64_t *ret, const char **rest)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	*ret = value;
	*rest = text;
	return 0;
}

int parse_number_u64(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t value;
	const char *rest;
	int r = parse_digits(text, &value, &rest);

	if (r < 0)
		return r;
	if (*rest != '\0')
		return -EINVAL;
	if (value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_number_hex(const char *text, size_t n_digits, uint64_t *ret)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n_digits; i++) {
		if (text[i] >= '0' && text[i] <= '9')
			value = value << 4 | (uint64_t)(text[i] - '0');
		else if (text[i] >= 'a' && text[i] <= 'f')
			value = value << 4 | (uint64_t)(text[i] - 'a' + 10);
		else
			return -EINVAL;
	}
	*ret = value;
	return 0;
}

int parse_number_size_bytes(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	uint64_t value;
	const char *rest, *unit;
	int r = parse_digits(text, &value, &rest);

	if (r < 0)
		return r;
	if (*rest != '\0') {
		unit = strchr(units, toupper((unsigned char)*rest));
		if (unit == NULL || (rest[1] != '\0' && strcasecmp(rest + 1, "iB") != 0 &&
					    strcasecmp(rest + 1, "B") != 0))
			return -EINVAL;
		for (ptrdiff_t i = unit - units; i >= 0; i--) {
			if (__builtin_mul_overflow(value, 1024, &value))
				return -ERANGE;
		}
	}
	*ret = value;
	return 0;
}

/* The part behind the point of "1.5", in thousandths. */
static int parse_thousandths(const char **text, uint64_t *ret)
{
	uint64_t value = 0, weight = 100;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	for (; isdigit((unsigned char)**text); (*text)++, weight /= 10)
		value += (uint64_t)(**text - '0') * weight;
	*ret = value;
	return 0;
}

static int unit_in_ms(const char *text, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {
		{"", 1000},
		{"ms", 1},
		{"s", 1000},
		{"m", 60000},
		{"min", 60000},
		{"h", 3600000},
		{"d", 86400000},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].name) == 0) {
			*ret = units[i].ms;
			return 0;
		}
	}
	return -EINVAL;
}

int parse_number_duration_ms(const char *text, uint64_t *ret)
{
	uint64_t whole = 0, thousandths = 0, unit_ms = 1;
	const char *rest;
	int r = parse_digits(text, &whole, &rest);

	if (r == 0 && *rest == '.') {
		rest++;
		r = parse_thousandths(&rest, &thousandths);
	}
	if (r == 0)
		r = unit_in_ms(rest, &unit_ms);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(whole, unit_ms, &whole) ||
		__builtin_add_overflow(whole, thousandths * unit_ms / 1000, &whole))
		return -ERANGE;
	*ret = whole;
	return 0;
}
