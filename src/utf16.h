/* UTF-16 as Windows has it: little-endian, terminated by a NUL unit, not always well-formed. */

#ifndef NETSESSION_UTF16_H
#define NETSESSION_UTF16_H

#include <stdint.h>

typedef uint16_t utf16_unit;

#ifdef Py_PYTHON_H

/* New str of the units up to the terminator; NULL with an exception set on failure.
   Lone surrogates are kept (as "surrogatepass" does). */
PyObject *utf16_to_str(const utf16_unit *units);

/* UTF-16 of a str, terminator included, lone surrogates kept. The result is a new bytes object
   that owns the units; NULL with an exception set on failure. `argument` is for messages. */
PyObject *utf16_from_str(PyObject *text, const char *argument);

#endif

#endif
