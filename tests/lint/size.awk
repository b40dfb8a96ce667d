# size.awk: file and function lengths. The formatter puts the braces of a function, and of nothing
# else, alone into the first column. Variables: max_file, max_function.

function finish_file() {
	if (path != "" && lines > max_file) {
		print path ": " lines " lines; at most " max_file
		failed = 1
	}
}

FNR == 1 {
	finish_file()
	path = FILENAME
	inside = 0
}

{ lines = FNR }

/^\{/ && !inside {
	inside = 1
	start = signature
}

/^\}/ && inside {
	inside = 0
	if (FNR - start + 1 > max_function) {
		print path ":" start ": function of " FNR - start + 1 " lines; at most " max_function
		failed = 1
	}
}

# A signature begins at the last line that begins with a letter in the first column.
/^[A-Za-z_]/ && !inside { signature = FNR }

END {
	finish_file()
	exit failed
}
