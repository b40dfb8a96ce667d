/*
 * s3_xml.h: the XML documents of S3, by expat.
 *
 * A document is read as a sequence of elements that hold text: "ListBucketResult/Contents/Key" and
 * the text of it. Documents with a DOCTYPE, elements nested deeper than S3_XML_MAX_DEPTH and texts
 * longer than S3_XML_MAX_TEXT_BYTES are refused.
 */
#ifndef MAILFS_BACKENDS_S3_S3_XML_H
#define MAILFS_BACKENDS_S3_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/backend.h"

#define S3_XML_MAX_DEPTH 8
#define S3_XML_MAX_PATH_BYTES 256
#define S3_XML_MAX_TEXT_BYTES 8192

/* At the end of each element. `text` may be changed; negative errno ends the reading. */
typedef int s3_xml_element_fn(void *arg, const char *path, char *text);

/* -EPROTO for what is no such document, -ENOMEM, or what `element` said. */
int s3_xml_read(const char *data, size_t size_bytes, s3_xml_element_fn *element, void *arg);

/* <Error>; what the document does not have is empty. */
struct s3_xml_error {
	char code[64];
	char message[256];
	char region[64];
};

int s3_xml_read_error(const char *data, size_t size_bytes, struct s3_xml_error *ret);

/* ListObjectsV2 with encoding-type=url. Entries whose key has the prefix (which is cut off) and is
 * a valid backend key then are appended to result->entries. *ret_token is malloc()ed, or NULL at
 * the end. -EPROTO, -ENOMEM. */
int s3_xml_read_list(const char *data, size_t size_bytes, const char *prefix,
	struct backend_result *result, char **ret_token);

/* DeleteObjects: how many keys were not removed (the absent ones were), and the first code. */
struct s3_xml_deletion {
	size_t n_failed;
	char code[64];
};

int s3_xml_read_deletion(const char *data, size_t size_bytes, struct s3_xml_deletion *ret);

/* The text of InitiateMultipartUploadResult/UploadId. -EPROTO. */
int s3_xml_read_upload_id(const char *data, size_t size_bytes, char *ret, size_t ret_size_bytes);

/* CompleteMultipartUpload and CopyObject answer 200 before they know: an <Error> may follow.
 * *ret_etag is without quotes; Ceph's radosgw leaves it empty after an upload. -EPROTO when it is
 * neither, -EIO with *ret_error set when it is an <Error>. */
int s3_xml_read_completion(const char *data, size_t size_bytes,
	char ret_etag[BACKEND_VERSION_MAX_BYTES], struct s3_xml_error *ret_error);

#endif
