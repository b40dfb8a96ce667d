/*
 * proxy_main.c: the proxy as a program, for shell tests and by hand.
 *
 *     fault-proxy http|rpc UPSTREAM_PORT
 *
 * Prints the port on which it listens. Lines on standard input: "refuse", "accept", "hits" (prints
 * how often a rule was applied), or rules (proxy_rules.h). Ends with standard input.
 */
#include <config.h>
#include "proxy/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/parse_number.h"

#define MAX_LINE_BYTES 4096

static void obey(struct proxy *proxy, const char *line)
{
	char *message = NULL;

	if (strcmp(line, "refuse") == 0) {
		proxy_refuse(proxy, true);
	} else if (strcmp(line, "accept") == 0) {
		proxy_refuse(proxy, false);
	} else if (strcmp(line, "hits") == 0) {
		printf("%llu\n", (unsigned long long)proxy_hits(proxy));
	} else if (proxy_set_rules(proxy, line, &message) < 0) {
		fprintf(stderr, "fault-proxy: %s\n", message);
		free(message);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const struct proxy_protocol *protocol = NULL;
	struct proxy *proxy = NULL;
	char line[MAX_LINE_BYTES];
	uint64_t port;
	int r;

	if (argc == 3 && strcmp(argv[1], "http") == 0)
		protocol = &proxy_http;
	if (argc == 3 && strcmp(argv[1], "rpc") == 0)
		protocol = &proxy_rpc;
	if (protocol == NULL || parse_number_u64(argv[2], UINT16_MAX, &port) < 0) {
		fputs("usage: fault-proxy http|rpc UPSTREAM_PORT\n", stderr);
		return 2;
	}
	r = proxy_new(protocol, (uint16_t)port, &proxy);
	if (r < 0) {
		fprintf(stderr, "fault-proxy: %s\n", strerror(-r));
		return 1;
	}
	printf("%u\n", proxy_port(proxy));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		obey(proxy, line);
	}
	proxy_free(proxy);
	return 0;
}
