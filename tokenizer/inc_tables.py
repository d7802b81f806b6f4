"""How the scripts that write this folder's tables write one."""


def table(declaration, items):
    """Prints a C++ array of these items, in lines of up to 118 characters."""
    print(f"{declaration} = {{")
    line = "   "
    for item in items:
        if len(line) + len(item) > 118:
            print(line)
            line = "   "
        line += f" {item},"
    print(f"{line}\n}};\n")
