/*
 * s3_text.h: the notations of S3: percent encoding, hexadecimal, base64, dates.
 */
#ifndef MAILFS_BACKENDS_S3_S3_TEXT_H
#define MAILFS_BACKENDS_S3_S3_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text that grows in a buffer of the caller's; once it did not fit, is_cut stays set. */
struct s3_text {
	char *data; /* NUL-terminated */
	size_t size_bytes, used_bytes;
	bool is_cut;
};

void s3_text_init(struct s3_text *t, char *data, size_t size_bytes);
void s3_text_add(struct s3_text *t, const char *text);
void s3_text_add_format(struct s3_text *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* As SigV4 wants it (RFC 3986): all but A-Z a-z 0-9 - . _ ~ becomes %XX, '/' too unless kept. */
void s3_text_add_encoded(struct s3_text *t, const char *text, bool keep_slash);

/* In place: %XX and '+' (a space), as in listings with encoding-type=url. -EINVAL for a malformed
 * or a zero byte. */
int s3_text_decode(char *text);

/* Lower-case digits, NUL-terminated: 2 * size_bytes + 1 bytes. */
void s3_text_hex(const uint8_t *data, size_t size_bytes, char *ret);
/* The opposite, exactly size_bytes; false when it is something else. */
bool s3_text_unhex(const char *text, uint8_t *ret, size_t size_bytes);

/* NUL-terminated: 4 * ceil(size_bytes / 3) + 1 bytes. */
void s3_text_base64(const uint8_t *data, size_t size_bytes, char *ret);

#define S3_TEXT_TIME_BYTES 17
/* "20130524T000000Z" of a time since 1970. */
void s3_text_time(int64_t time_s, char ret[S3_TEXT_TIME_BYTES]);

/* "2013-05-24T01:02:03.456Z" in ms since 1970; -EINVAL. */
int s3_text_parse_time(const char *text, int64_t *ret_ms);

#endif
