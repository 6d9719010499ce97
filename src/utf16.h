/* UTF-16 as Windows has it: little-endian, terminated by a NUL unit, not always well-formed. */

#ifndef NETSESSION_UTF16_H
#define NETSESSION_UTF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint16_t utf16_unit;

/* How many units there are before the terminator. */
static inline size_t
utf16_length(const utf16_unit *units)
{
    const utf16_unit *end = units;
    while (true) { /* no unit is read that may lie behind the terminator */
        if (end[0] == 0) {
            return (size_t)(end - units);
        }
        if (end[1] == 0) {
            return (size_t)(end - units) + 1;
        }
        if (end[2] == 0) {
            return (size_t)(end - units) + 2;
        }
        if (end[3] == 0) {
            return (size_t)(end - units) + 3;
        }
        end += 4;
    }
}

/* Writes units as UTF-8 to `out`, until their terminator, which is not written, or until less
   than four bytes are left before `limit`. Moves `*units` to the first unit not written, and
   returns the end of what was written. A lone surrogate becomes U+FFFD. */
char *utf16_to_utf8(const utf16_unit **units, char *out, const char *limit);

/* The same as long as units are ASCII and eight bytes are left: most strings are nothing else.
   Eight units a turn is a loop that compilers unroll; no unit is read behind the terminator. */
static inline char *
utf16_copy_ascii(const utf16_unit **units, char *out, const char *limit)
{
    const utf16_unit *in = *units;
    while (limit - out >= 8) {
        for (int i = 0; i < 8; i++) {
            if (in[i] - 1u >= 0x7Fu) { /* the terminator, or not ASCII */
                *units = in + i;
                return out + i;
            }
            out[i] = (char)in[i];
        }
        in += 8;
        out += 8;
    }
    *units = in;
    return out;
}

#ifdef Py_PYTHON_H

/* New str of `length` units; NULL with an exception set on failure. Lone surrogates are kept (as
   "surrogatepass" does). */
PyObject *utf16_to_str(const utf16_unit *units, size_t length);

/* UTF-16 of a str, terminator included, lone surrogates kept. The result is a new bytes object
   that owns the units; NULL with an exception set on failure. `argument` is for messages. */
PyObject *utf16_from_str(PyObject *text, const char *argument);

#endif

#endif
