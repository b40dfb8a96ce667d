#include <config.h>
#include "util/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <openssl/rand.h>

int uuid_generate(struct uuid *ret)
{
	struct uuid uuid;

	if (RAND_bytes(uuid.bytes, UUID_BYTES) != 1)
		return -EIO;
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
	*ret = uuid;
	return 0;
}

static bool dash_before(int i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_BYTES])
{
	char *p = text;

	for (int i = 0; i < UUID_BYTES; i++) {
		if (dash_before(i))
			*p++ = '-';
		p += snprintf(p, 3, "%02x", uuid->bytes[i]);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool uuid_parse(const char *text, struct uuid *ret)
{
	struct uuid uuid;

	if (strlen(text) != UUID_TEXT_BYTES - 1)
		return false;
	for (int i = 0; i < UUID_BYTES; i++) {
		int high, low;

		if (dash_before(i) && *text++ != '-')
			return false;
		high = hex_value(text[0]);
		low = hex_value(text[1]);
		if (high < 0 || low < 0)
			return false;
		uuid.bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	*ret = uuid;
	return true;
}
