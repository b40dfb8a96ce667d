#include <config.h>
#include "load.h"

#include <curl/curl.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEX_BYTES (2 * SHA256_DIGEST_LENGTH + 1)

struct curl_load;

/* One request after the other, on a connection that is kept. */
struct slot {
	struct curl_load *load;
	CURL *easy;
	struct curl_slist *headers;
	size_t n_sent, n_received;
};

struct curl_load {
	struct load load; /* first */
	CURLM *multi;
	struct slot slots[LOAD_MAX_CONCURRENCY];
	char endpoint[256], bucket[64];
	const char *access_key, *secret_key, *region;
	bool is_put;
	unsigned int series, n, n_begun, n_done;
};

static void to_hex(const unsigned char *digest, char hex[HEX_BYTES])
{
	for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void hmac(const void *key, size_t key_size, const char *text,
	unsigned char digest[SHA256_DIGEST_LENGTH])
{
	HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)text, strlen(text), digest,
		NULL);
}

/* AWS Signature Version 4 of the simplest kind of request. */
static void sign(const struct curl_load *c, const char *method, const char *path, const char *date,
	char signature[HEX_BYTES])
{
	char text[1024], hex[HEX_BYTES], day[9] = "";
	unsigned char digest[SHA256_DIGEST_LENGTH];

	memcpy(day, date, 8);
	snprintf(text, sizeof(text),
		"%s\n%s\n\nhost:%s\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:%s\n\n"
		"host;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD",
		method, path, strstr(c->endpoint, "//") + 2, date);
	SHA256((const unsigned char *)text, strlen(text), digest);
	to_hex(digest, hex);
	snprintf(text, sizeof(text), "AWS4%s", c->secret_key);
	hmac(text, strlen(text), day, digest);
	hmac(digest, sizeof(digest), c->region, digest);
	hmac(digest, sizeof(digest), "s3", digest);
	hmac(digest, sizeof(digest), "aws4_request", digest);
	snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", date, day,
		c->region, hex);
	hmac(digest, sizeof(digest), text, digest);
	to_hex(digest, signature);
}

static struct curl_slist *make_headers(
	const struct curl_load *c, const char *method, const char *path)
{
	char date[20], line[512], signature[HEX_BYTES];
	struct curl_slist *list;
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
	sign(c, method, path, date, signature);
	snprintf(line, sizeof(line),
		"Authorization: AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request, "
		"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=%s",
		c->access_key, date, c->region, signature);
	list = curl_slist_append(NULL, line);
	snprintf(line, sizeof(line), "x-amz-date: %s", date);
	list = curl_slist_append(list, line);
	list = curl_slist_append(list, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
	return curl_slist_append(list, "Expect:");
}

static size_t send_body(char *to, size_t size, size_t n, void *arg)
{
	struct slot *slot = arg;
	size_t left = LOAD_OBJECT_BYTES - slot->n_sent;

	n = size * n < left ? size * n : left;
	memcpy(to, load_content() + slot->n_sent, n);
	slot->n_sent += n;
	return n;
}

static size_t take_body(char *from, size_t size, size_t n, void *arg)
{
	struct slot *slot = arg;

	(void)from;
	slot->n_received += size * n;
	return size * n;
}

static void begin(struct curl_load *c, struct slot *slot)
{
	char path[128], url[512], range[32];

	snprintf(range, sizeof(range), "0-%d", LOAD_OBJECT_BYTES - 1);
	snprintf(path, sizeof(path), "/%s/raw/%u/%u", c->bucket, c->series, c->n_begun++);
	snprintf(url, sizeof(url), "%s%s", c->endpoint, path);
	curl_slist_free_all(slot->headers);
	slot->headers = make_headers(c, c->is_put ? "PUT" : "GET", path);
	slot->n_sent = slot->n_received = 0;
	curl_easy_setopt(slot->easy, CURLOPT_URL, url);
	curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers);
	if (c->is_put) {
		curl_easy_setopt(slot->easy, CURLOPT_RANGE, NULL);
		curl_easy_setopt(slot->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(
			slot->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)LOAD_OBJECT_BYTES);
	} else {
		/* As backend_get() asks: radosgw takes a third longer for a range. */
		curl_easy_setopt(slot->easy, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(slot->easy, CURLOPT_RANGE, range);
	}
	curl_multi_add_handle(c->multi, slot->easy);
}

static void finish(struct curl_load *c, CURL *easy, CURLcode result)
{
	struct slot *slot = NULL;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (result != CURLE_OK)
		load_fail("the raw loop", curl_easy_strerror(result));
	if ((status != 200 && status != 206) ||
		(!c->is_put && slot->n_received != LOAD_OBJECT_BYTES))
		load_fail("the raw loop", "the store refused or gave too little");
	c->n_done++;
	curl_multi_remove_handle(c->multi, easy);
	if (c->n_begun < c->n)
		begin(c, slot);
}

static void run(struct load *load, bool is_put, unsigned int series, unsigned int n,
	unsigned int concurrency)
{
	struct curl_load *c = (struct curl_load *)(void *)load;
	int n_running, n_left;
	CURLMsg *message;

	c->is_put = is_put;
	c->series = series;
	c->n = n;
	c->n_begun = c->n_done = 0;
	for (unsigned int i = 0; i < concurrency && i < n; i++)
		begin(c, &c->slots[i]);
	while (c->n_done < n) {
		curl_multi_perform(c->multi, &n_running);
		while ((message = curl_multi_info_read(c->multi, &n_left)) != NULL) {
			if (message->msg == CURLMSG_DONE)
				finish(c, message->easy_handle, message->data.result);
		}
		if (c->n_done < n)
			curl_multi_poll(c->multi, NULL, 0, 1000, NULL);
	}
}

static void curl_load_close(struct load *load)
{
	struct curl_load *c = (struct curl_load *)(void *)load;

	for (int i = 0; i < LOAD_MAX_CONCURRENCY; i++) {
		curl_easy_cleanup(c->slots[i].easy);
		curl_slist_free_all(c->slots[i].headers);
	}
	curl_multi_cleanup(c->multi);
	free(c);
}

static const struct load_ops ops = {.run = run, .close = curl_load_close};

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL)
		load_fail(name, "is not set");
	return value;
}

struct load *load_curl_open(const char *endpoint, const char *bucket)
{
	struct curl_load *c = calloc(1, sizeof(*c));

	if (c == NULL || curl_global_init(CURL_GLOBAL_ALL) != 0)
		load_fail("libcurl", "cannot start");
	c->load.ops = &ops;
	c->multi = curl_multi_init();
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)LOAD_MAX_CONCURRENCY + 4);
	snprintf(c->endpoint, sizeof(c->endpoint), "%s", endpoint);
	snprintf(c->bucket, sizeof(c->bucket), "%s", bucket);
	c->access_key = environment("AWS_ACCESS_KEY_ID");
	c->secret_key = environment("AWS_SECRET_ACCESS_KEY");
	c->region = environment("AWS_REGION");
	for (int i = 0; i < LOAD_MAX_CONCURRENCY; i++) {
		struct slot *slot = &c->slots[i];

		slot->load = c;
		slot->easy = curl_easy_init();
		curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
		curl_easy_setopt(slot->easy, CURLOPT_NOPROXY, "*");
		curl_easy_setopt(slot->easy, CURLOPT_TCP_NODELAY, 1L);
		curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(slot->easy, CURLOPT_READFUNCTION, send_body);
		curl_easy_setopt(slot->easy, CURLOPT_READDATA, slot);
		curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, take_body);
		curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, slot);
	}
	return &c->load;
}
