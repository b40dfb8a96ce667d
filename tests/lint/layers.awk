# layers.awk: reads src/LAYERS, then "path" lines of C files (relative to the tree), and reports
# every include that the table does not allow. Variables: tree.

function complain(where, what) {
	print where ": " what
	failed = 1
}

function read_table(file,    line, parts, left, n, names, i) {
	while ((getline line < file) > 0) {
		sub(/[ \t]*#.*/, "", line)
		if (line ~ /^[ \t]*$/)
			continue
		if (split(line, parts, ":") != 2) {
			complain("src/LAYERS", "not a rule: " line)
			continue
		}
		left = parts[1]
		n = split(parts[2], names, " ")
		if (left ~ /^external /) {
			sub(/^external[ \t]+/, "", left)
			external[left] = " " parts[2] " "
			continue
		}
		known[left] = 1
		for (i = 1; i <= n; i++)
			edge[left, names[i]] = 1
	}
	close(file)
}

# Depth-first over the declared edges: a module that reaches itself is a cycle.
function visit(module, trail,    other) {
	state[module] = 1
	for (other in known) {
		if (other == module || !((module, other) in edge))
			continue
		if (state[other] == 1)
			complain("src/LAYERS", "cycle:" trail " " module " -> " other)
		else if (state[other] == 0)
			visit(other, trail " " module " ->")
	}
	state[module] = 2
}

function check_table(    pair, names, module) {
	for (pair in edge) {
		split(pair, names, SUBSEP)
		if (!(names[2] in known))
			complain("src/LAYERS", names[1] " may include an unknown module: " names[2])
	}
	for (module in known)
		state[module] = 0
	for (module in known)
		if (state[module] == 0)
			visit(module, "")
}

# A path below src/ belongs to the rule of its own name without suffix (main, backends/registry) if
# there is one, else to that of its directory.
function module_of(path,    name) {
	name = path
	sub(/\.[ch]$/, "", name)
	if (name in known || path !~ /\//)
		return name
	sub(/\/[^\/]*$/, "", path)
	return path
}

function check_ours(where, module, header,    other, line) {
	if (header !~ /\//) {
		complain(where, "name the module: \"" module "/" header "\"")
		return
	}
	other = module_of(header)
	if ((getline line < (tree "/src/" header)) < 0)
		complain(where, "no such file: src/" header)
	close(tree "/src/" header)
	if (other != module && !((module, other) in edge))
		complain(where, module " may not include " other " (" header ")")
}

function check_external(where, module, header,    prefix) {
	for (prefix in external)
		if (header == prefix || (prefix ~ /\/$/ && index(header, prefix) == 1))
			if (index(external[prefix], " " module " ") == 0)
				complain(where, module " may not include <" header ">")
}

function check_file(path,    module, line, number, header, first) {
	module = path
	sub(/^src\//, "", module)
	module = module_of(module)
	if (!(module in known)) {
		complain(path, "module " module " is not in src/LAYERS")
		return
	}
	number = 0
	first = 1
	while ((getline line < (tree "/" path)) > 0) {
		number++
		if (line !~ /^[ \t]*#[ \t]*include[ \t]*[<"]/)
			continue
		header = line
		sub(/^[^<"]*[<"]/, "", header)
		sub(/[>"].*$/, "", header)
		if (first && path ~ /\.c$/ && header != "config.h")
			complain(path ":" number, "<config.h> comes first")
		first = 0
		if (header == "config.h")
			continue
		if (line ~ /include[ \t]*"/)
			check_ours(path ":" number, module, header)
		else
			check_external(path ":" number, module, header)
	}
	close(tree "/" path)
}

BEGIN {
	read_table(tree "/src/LAYERS")
	check_table()
}

{ check_file($0) }

END { exit failed }
