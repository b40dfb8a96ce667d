#include <config.h>
#include "backends/tree_layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "util/uuid.h"

const char *tree_name_of(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash == NULL ? key : slash + 1;
}

int tree_token_make(char ret[TREE_TOKEN_BYTES])
{
	struct uuid uuid;
	int r = uuid_generate(&uuid);

	if (r < 0)
		return r;
	for (int i = 0; i < 8; i++)
		snprintf(ret + 2 * i, 3, "%02x", uuid.bytes[i] ^ uuid.bytes[15 - i]);
	return 0;
}

void tree_temporary_name(
	const char token[TREE_TOKEN_BYTES], uint64_t number, char ret[TREE_NAME_BYTES])
{
	snprintf(ret, TREE_NAME_BYTES, "%s-%" PRIx64, token, number);
}

int tree_incarnation_make(char ret[TREE_INCARNATION_BYTES])
{
	ret[0] = '+';
	return tree_token_make(ret + 1);
}

bool tree_is_incarnation(const char *name)
{
	return name[0] == '+' && strlen(name) < TREE_INCARNATION_BYTES;
}

void tree_generation_name(uint64_t generation, char ret[TREE_GENERATION_BYTES])
{
	snprintf(ret, TREE_GENERATION_BYTES, "%016" PRIx64, generation);
}

bool tree_generation_parse(const char *name, uint64_t *ret)
{
	uint64_t value = 0;

	if (strspn(name, "0123456789abcdef") != 16 || name[16] != '\0')
		return false;
	for (; *name != '\0'; name++)
		value = value << 4 | (uint64_t)(*name <= '9' ? *name - '0' : *name - 'a' + 10);
	*ret = value;
	return value != 0;
}

void tree_record_version(const char *incarnation, uint64_t generation, struct backend_version *ret)
{
	snprintf(ret->text, sizeof(ret->text), "r%s:%" PRIx64, incarnation, generation);
}

void tree_object_version(uint64_t inode, uint64_t seconds, unsigned long nanoseconds,
	uint64_t size_bytes, struct backend_version *ret)
{
	snprintf(ret->text, sizeof(ret->text), "f%" PRIx64 ":%" PRIx64 ".%lx:%" PRIx64, inode,
		seconds, nanoseconds, size_bytes);
}
