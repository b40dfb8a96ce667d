#include <config.h>
#include "backends/s3/s3_xml.h"

#include <errno.h>
#include <expat.h>
#include <limits.h>
#include <string.h>

struct reader {
	XML_Parser parser;
	s3_xml_element_fn *element;
	void *arg;
	int error;
	unsigned int depth;
	size_t path_bytes[S3_XML_MAX_DEPTH + 1]; /* of the path down to a depth */
	char path[S3_XML_MAX_PATH_BYTES];
	size_t text_bytes;
	char text[S3_XML_MAX_TEXT_BYTES + 1];
};

static void fail(struct reader *r, int error)
{
	if (r->error == 0)
		r->error = error;
	(void)XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL begin_element(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *r = arg;
	size_t used = r->path_bytes[r->depth], size = strlen(name);

	(void)attributes;
	if (r->depth >= S3_XML_MAX_DEPTH || size + 2 > sizeof(r->path) - used) {
		fail(r, -EPROTO);
		return;
	}
	if (r->depth > 0)
		r->path[used++] = '/';
	memcpy(r->path + used, name, size + 1);
	r->path_bytes[++r->depth] = used + size;
	r->text_bytes = 0;
}

static void XMLCALL end_element(void *arg, const XML_Char *name)
{
	struct reader *r = arg;
	int error;

	(void)name;
	if (r->error != 0 || r->depth == 0)
		return;
	r->text[r->text_bytes] = '\0';
	error = memchr(r->text, '\0', r->text_bytes) == NULL ? r->element(r->arg, r->path, r->text)
							     : -EPROTO;
	if (error < 0)
		fail(r, error);
	r->depth--;
	r->path[r->path_bytes[r->depth]] = '\0';
	r->text_bytes = 0;
}

static void XMLCALL add_text(void *arg, const XML_Char *text, int size)
{
	struct reader *r = arg;

	if ((size_t)size > S3_XML_MAX_TEXT_BYTES - r->text_bytes) {
		fail(r, -EPROTO);
		return;
	}
	memcpy(r->text + r->text_bytes, text, (size_t)size);
	r->text_bytes += (size_t)size;
}

static void XMLCALL refuse_doctype(void *arg, const XML_Char *name, const XML_Char *system,
	const XML_Char *public, int has_internal)
{
	(void)name, (void)system, (void)public, (void)has_internal;
	fail(arg, -EPROTO);
}

int s3_xml_read(const char *data, size_t size_bytes, s3_xml_element_fn *element, void *arg)
{
	struct reader r = {.element = element, .arg = arg, .error = 0};

	if (size_bytes > INT_MAX || data == NULL)
		return -EPROTO;
	r.parser = XML_ParserCreate(NULL);
	if (r.parser == NULL)
		return -ENOMEM;
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, begin_element, end_element);
	XML_SetCharacterDataHandler(r.parser, add_text);
	XML_SetStartDoctypeDeclHandler(r.parser, refuse_doctype);
	if (XML_Parse(r.parser, data, (int)size_bytes, XML_TRUE) != XML_STATUS_OK && r.error == 0)
		r.error = XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EPROTO;
	XML_ParserFree(r.parser);
	return r.error;
}
