int tree_main(const char *verb, const char *dir);
int tree_main(const char *verb, const char *dir)
{
	(void)verb;
	(void)dir;
	return 2;
}
