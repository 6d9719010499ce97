#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "utf16.h"

/* A surrogate is 0xD800 to 0xDFFF: the top five bits are 11011. */
static inline int
is_surrogate(utf16_unit unit)
{
    return (unit & 0xF800u) == 0xD800u;
}

PyObject *
utf16_to_str(const utf16_unit *units)
{
    size_t length = 0;
    unsigned int seen = 0; /* all bits of all units: tells the widest unit */
    int surrogates = 0;
    for (; units[length] != 0; length++) {
        seen |= units[length];
        surrogates |= is_surrogate(units[length]);
    }
    if (surrogates) {
        int byte_order = -1; /* little-endian, and no byte order mark is looked for */
        return PyUnicode_DecodeUTF16((const char *)units, (Py_ssize_t)(length * 2),
                                     "surrogatepass", &byte_order);
    }
    /* Without surrogates every unit is a code point, so the widest is exact enough for the
       str's kind: under 0x80, under 0x100, or two bytes a character. */
    PyObject *text = PyUnicode_New((Py_ssize_t)length, seen < 0x80    ? 0x7F
                                                       : seen < 0x100 ? 0xFF
                                                                      : 0xFFFF);
    if (text == NULL) {
        return NULL;
    }
    if (seen < 0x100) {
        Py_UCS1 *characters = PyUnicode_1BYTE_DATA(text);
        for (size_t i = 0; i < length; i++) {
            characters[i] = (Py_UCS1)units[i];
        }
    }
    else {
        memcpy(PyUnicode_2BYTE_DATA(text), units, length * sizeof(utf16_unit));
    }
    return text;
}

PyObject *
utf16_from_str(PyObject *text, const char *argument)
{
    PyObject *units = NULL;  /* bytes without the terminator */
    PyObject *result = NULL; /* bytes with it */

    if (PyUnicode_FindChar(text, 0, 0, PyUnicode_GET_LENGTH(text), 1) != -1) {
        PyErr_Format(PyExc_ValueError, "%s must not contain a NUL character", argument);
        return NULL;
    }
    units = PyUnicode_AsEncodedString(text, "utf-16-le", "surrogatepass");
    if (units == NULL) {
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(units);
    result = PyBytes_FromStringAndSize(NULL, size + (Py_ssize_t)sizeof(utf16_unit));
    if (result != NULL) {
        memcpy(PyBytes_AS_STRING(result), PyBytes_AS_STRING(units), (size_t)size);
        memset(PyBytes_AS_STRING(result) + size, 0, sizeof(utf16_unit));
    }
    Py_DECREF(units);
    return result;
}
