#include <config.h>
#include "backends/s3/s3_text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char digits[] = "0123456789abcdef";

void s3_text_init(struct s3_text *t, char *data, size_t size_bytes)
{
	*t = (struct s3_text){.data = data, .size_bytes = size_bytes};
	data[0] = '\0';
}

static void add_bytes(struct s3_text *t, const char *text, size_t size)
{
	if (size >= t->size_bytes - t->used_bytes) {
		t->is_cut = true;
		return;
	}
	memcpy(t->data + t->used_bytes, text, size);
	t->used_bytes += size;
	t->data[t->used_bytes] = '\0';
}

void s3_text_add(struct s3_text *t, const char *text)
{
	add_bytes(t, text, strlen(text));
}

void s3_text_add_format(struct s3_text *t, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(t->data + t->used_bytes, t->size_bytes - t->used_bytes, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= t->size_bytes - t->used_bytes) {
		t->data[t->used_bytes] = '\0';
		t->is_cut = true;
		return;
	}
	t->used_bytes += (size_t)n;
}

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void s3_text_add_encoded(struct s3_text *t, const char *text, bool keep_slash)
{
	while (*text != '\0') {
		size_t plain = 0;

		while (is_unreserved((unsigned char)text[plain]) ||
			(keep_slash && text[plain] == '/'))
			plain++;
		if (plain > 0)
			add_bytes(t, text, plain);
		text += plain;
		if (*text != '\0') {
			s3_text_add_format(t, "%%%02X", (unsigned char)*text);
			text++;
		}
	}
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int byte_value(const char *text)
{
	int high = digit_value(text[0]);
	int low = high < 0 ? -1 : digit_value(text[1]);

	return low < 0 ? -1 : 16 * high + low;
}

int s3_text_decode(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if (*text == '+') {
			*to++ = ' ';
		} else if (*text == '%') {
			int value = byte_value(text + 1);

			if (value <= 0)
				return -EINVAL;
			*to++ = (char)value;
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
	return 0;
}

void s3_text_hex(const uint8_t *data, size_t size_bytes, char *ret)
{
	for (size_t i = 0; i < size_bytes; i++) {
		*ret++ = digits[data[i] >> 4];
		*ret++ = digits[data[i] & 15];
	}
	*ret = '\0';
}

bool s3_text_unhex(const char *text, uint8_t *ret, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		int value = byte_value(text + 2 * i);

		if (value < 0)
			return false;
		ret[i] = (uint8_t)value;
	}
	return text[2 * size_bytes] == '\0';
}

void s3_text_base64(const uint8_t *data, size_t size_bytes, char *ret)
{
	(void)EVP_EncodeBlock((unsigned char *)ret, data, (int)size_bytes);
}

void s3_text_time(int64_t time_s, char ret[S3_TEXT_TIME_BYTES])
{
	time_t time = (time_t)time_s;
	struct tm tm;

	gmtime_r(&time, &tm);
	if (strftime(ret, S3_TEXT_TIME_BYTES, "%Y%m%dT%H%M%SZ", &tm) == 0)
		ret[0] = '\0';
}

int s3_text_parse_time(const char *text, int64_t *ret_ms)
{
	struct tm tm = {.tm_year = 0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ms = 0;

	if (rest == NULL)
		return -EINVAL;
	if (*rest == '.') {
		int64_t weight = 100;

		for (rest++; *rest >= '0' && *rest <= '9'; rest++, weight /= 10)
			ms += weight * (*rest - '0');
	}
	if (strcmp(rest, "Z") != 0 && strcmp(rest, "+00:00") != 0)
		return -EINVAL;
	*ret_ms = (int64_t)timegm(&tm) * 1000 + ms;
	return 0;
}
