#include <config.h>
#include "util/account_path.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "util/checksum.h"
#include "util/codec.h"
#include "util/parse_number.h"

#define TOP "accounts/"
#define HASH_DIGITS 2
#define MIN_DIGITS 8
#define MAX_DIGITS 16

void account_path_format(uint64_t account, char path[ACCOUNT_PATH_BYTES])
{
	uint8_t number[8];
	struct encoder e = encoder_over(number, sizeof(number));

	encode_u64(&e, account);
	snprintf(path, ACCOUNT_PATH_BYTES, TOP "%02x/%08" PRIx64,
		(unsigned int)(checksum_64(number, sizeof(number)) >> 56), account);
}

/* Reads the number alone; the comparison with what it would be written as does the rest. */
const char *account_path_parse(const char *key, uint64_t *ret_account)
{
	const size_t head = strlen(TOP) + HASH_DIGITS + 1;
	char again[ACCOUNT_PATH_BYTES];
	uint64_t account;
	size_t digits;

	if (strnlen(key, head) < head)
		return NULL;
	digits = strcspn(key + head, "/");
	if (digits < MIN_DIGITS || digits > MAX_DIGITS || key[head + digits] != '/' ||
		parse_number_hex(key + head, digits, &account) < 0)
		return NULL;
	account_path_format(account, again);
	if (strlen(again) != head + digits || memcmp(again, key, head + digits) != 0)
		return NULL;
	*ret_account = account;
	return key + head + digits + 1;
}

void account_path_key(uint64_t account, const char *folder, const struct uuid *id,
	char key[ACCOUNT_PATH_KEY_BYTES])
{
	char path[ACCOUNT_PATH_BYTES], uuid[UUID_TEXT_BYTES];

	account_path_format(account, path);
	uuid_format(id, uuid);
	(void)snprintf(key, ACCOUNT_PATH_KEY_BYTES, "%s/%s/%s", path, folder, uuid);
}

bool account_path_parse_key(
	const char *key, const char *folder, uint64_t *ret_account, struct uuid *ret_id)
{
	uint64_t account;
	const char *rest = account_path_parse(key, &account);
	size_t length = strlen(folder);

	if (rest == NULL || strncmp(rest, folder, length) != 0 || rest[length] != '/' ||
		!uuid_parse(rest + length + 1, ret_id))
		return false;
	*ret_account = account;
	return true;
}
