/* Names: any bytes but / and NUL, up to 255 of them. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool listed(const char *name)
{
	bool found = false;
	DIR *dir = opendir(".");
	CHECK(dir != NULL);
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		found = found || strcmp(e->d_name, name) == 0;
	closedir(dir);
	return found;
}

static void all_one_byte_names(void)
{
	bool seen[256] = {false};
	char name[2] = "";
	for (int c = 1; c < 256; c++) {
		name[0] = (char)c;
		if (c == '/' || c == '.')
			continue;
		kit_file(name, name);
	}
	DIR *dir = opendir(".");
	CHECK(dir != NULL);
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		EQ(strlen(e->d_name), 1);
		CHECK(!seen[(unsigned char)e->d_name[0]]);
		seen[(unsigned char)e->d_name[0]] = true;
	}
	closedir(dir);
	for (int c = 1; c < 256; c++) {
		name[0] = (char)c;
		EQ(seen[c], c != '/' && c != '.');
		if (seen[c])
			kit_expect_text(name, name);
	}
}

static void odd_names(void)
{
	static const char *const names[] = {"\xff\xfe\xfd", "\xc3\x28", "\xed\xa0\x80", "a\nb",
		"\n", " ", "  lead and trail  ", "...", ".. ", "..x", "-rf", "a\\b", "*?[]",
		"\"quote\"", "tab\tname", "\x01\x02\x1f\x7f", "\xe2\x82\xac",
		"1700000000.M1P2.host,S=5,W=6:2,FS", "CON", "nul", ".DS_Store", "%2F", "%00", "a:b",
		"~", "#x", "$HOME", "&amp;", "'"};
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		kit_file(names[i], names[i]);
		CHECK(listed(names[i]));
	}
	EQ(kit_count_names("."), COUNT_OF(names));
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		kit_expect_text(names[i], names[i]);
		OK(unlink(names[i]));
		CHECK(!listed(names[i]));
	}
}

static void case_and_normalisation_matter(void)
{
	static const char *const names[] = {
		"name", "Name", "NAME", "\xc3\xa9", "e\xcc\x81", "name "};
	for (size_t i = 0; i < COUNT_OF(names); i++)
		kit_file(names[i], names[i]);
	EQ(kit_count_names("."), COUNT_OF(names));
	for (size_t i = 0; i < COUNT_OF(names); i++)
		kit_expect_text(names[i], names[i]);
}

static void every_length_to_255(void)
{
	char name[NAME_MAX + 1];
	for (size_t len = 1; len <= NAME_MAX; len++) {
		memset(name, 'x', len);
		name[len] = '\0';
		kit_file(name, "");
	}
	EQ(kit_count_names("."), NAME_MAX);
	for (size_t len = 1; len <= NAME_MAX; len++) {
		memset(name, 'x', len);
		name[len] = '\0';
		EQ(kit_lstat(name).st_size, 0);
	}
}

static void longest_name_in_every_operation(void)
{
	char name[NAME_MAX + 1], other[NAME_MAX + 1], text[NAME_MAX + 1];
	memset(name, '\xff', NAME_MAX);
	name[NAME_MAX] = '\0';
	memset(other, '\n', NAME_MAX);
	other[NAME_MAX] = '\0';
	kit_mkdir(name, 0755);
	OK(rename(name, other));
	OK(rmdir(other));
	OK(symlink(name, other));
	EQ(OKL(readlink(other, text, sizeof(text))), NAME_MAX);
	OK(unlink(other));
	OK(mkfifo(other, 0600));
	OK(link(other, name));
	EQ(kit_nlink(name), 2);
	CHECK(listed(name));
	CHECK(listed(other));
}

static void dot_names_are_the_directories(void)
{
	kit_mkdir("d", 0755);
	OK(chdir("d"));
	EQ(kit_ino("."), kit_ino("../d"));
	EQ(kit_ino("./././."), kit_ino("."));
	FAILS(EISDIR, open(".", O_RDWR | O_CREAT, 0644));
	FAILS(EEXIST, symlink("x", ".."));
	FAILS(EEXIST, link("../d", "."));
}

static void similar_names_are_kept_apart(void)
{
	char name[32];
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "prefix%c%d", i % 2 != 0 ? '\x01' : '\xff', i);
		kit_file(name, name);
	}
	EQ(kit_count_names("."), 256);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "prefix%c%d", i % 2 != 0 ? '\x01' : '\xff', i);
		kit_expect_text(name, name);
		OK(unlink(name));
		EQ(kit_count_names("."), 255 - i);
	}
}

/* A name asked for before it exists must be seen as soon as it does, and the other way round. */
static void negative_lookups_are_forgotten(void)
{
	for (int i = 0; i < 50; i++) {
		kit_expect_absent("file");
		kit_file("file", "x");
		kit_expect_text("file", "x");
		OK(rename("file", "other"));
		kit_expect_absent("file");
		OK(link("other", "file"));
		EQ(kit_nlink("file"), 2);
		OK(unlink("file"));
		OK(unlink("other"));
		kit_expect_absent("other");
		kit_mkdir("file", 0755);
		OK(rmdir("file"));
	}
}

static const struct test_case cases[] = {
	CASE(all_one_byte_names),
	CASE(odd_names),
	CASE(case_and_normalisation_matter),
	CASE(every_length_to_255),
	CASE(longest_name_in_every_operation),
	CASE(dot_names_are_the_directories),
	CASE(similar_names_are_kept_apart),
	CASE(negative_lookups_are_forgotten),
};
DEFINE_GROUP(name);
