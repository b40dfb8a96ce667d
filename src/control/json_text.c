#include <config.h>
#include "control/json_text.h"

#include <stdio.h>
#include <stdlib.h>

char *control_json_text(json_t *root)
{
	char *text = NULL;
	size_t size_bytes;
	FILE *out = root != NULL ? open_memstream(&text, &size_bytes) : NULL;
	int failed;

	if (out == NULL) {
		json_decref(root);
		return NULL;
	}
	failed = json_dumpf(root, out, JSON_INDENT(2)) < 0;
	failed |= fputc('\n', out) == EOF;
	failed |= fclose(out) != 0;
	json_decref(root);
	if (failed) {
		free(text);
		return NULL;
	}
	return text;
}
