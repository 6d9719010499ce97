#define PY_SSIZE_T_CLEAN
#include "name_functions.h"

#include "upcase.h"

/* The upper case of a code point: those beyond the BMP are two units, which have none. */
static Py_UCS4
upcase_code_point(Py_UCS4 point, unsigned table)
{
    return point > 0xFFFF ? point : upcase_unit((utf16_unit)point, table);
}

/* Two arguments, of which those that must be str are. */
static int
check_arguments(const char *function, PyObject *const *args, Py_ssize_t count, Py_ssize_t strings)
{
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "%s takes 2 arguments, not %zd", function, count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < strings; i++) {
        if (!PyUnicode_Check(args[i])) {
            PyErr_Format(PyExc_TypeError, "%s compares str, not %.200s", function,
                         Py_TYPE(args[i])->tp_name);
            return -1;
        }
    }
    return 0;
}

const char name_upcase_doc[]
    = PyDoc_STR("upcase($module, text, table, /)\n--\n\n"
                "A name in upper case (str), unit by unit: table 1 is Samba's, 2 is Windows'.");

PyObject *
name_upcase(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (check_arguments("upcase", args, count, 1) < 0) {
        return NULL;
    }
    PyObject *text = args[0];
    long table = PyLong_AsLong(args[1]);
    if (table != UPCASE_SAMBA && table != UPCASE_WINDOWS) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "table must be 1 (Samba's) or 2 (Windows')");
        }
        return NULL;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    int kind = (int)PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_UCS4 widest = 0;
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 upper = upcase_code_point(PyUnicode_READ(kind, data, i), (unsigned)table);
        widest = upper > widest ? upper : widest;
    }
    PyObject *result = PyUnicode_New(length, widest);
    if (result == NULL) {
        return NULL;
    }
    int result_kind = (int)PyUnicode_KIND(result);
    void *result_data = PyUnicode_DATA(result);
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 upper = upcase_code_point(PyUnicode_READ(kind, data, i), (unsigned)table);
        PyUnicode_WRITE(result_kind, result_data, i, upper);
    }
    return result;
}

const char name_tables_doc[] = PyDoc_STR("same_tables($module, left, right, /)\n--\n\n"
                                         "By whose tables two names (str) are the same but for "
                                         "case (int): 1 Samba's, 2 Windows', 3 both,\n"
                                         "0 neither.");

PyObject *
name_tables(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (check_arguments("same_tables", args, count, 2) < 0) {
        return NULL;
    }
    PyObject *left = args[0], *right = args[1];
    Py_ssize_t length = PyUnicode_GET_LENGTH(left);
    unsigned tables = length == PyUnicode_GET_LENGTH(right) ? UPCASE_BOTH : 0;
    int left_kind = (int)PyUnicode_KIND(left), right_kind = (int)PyUnicode_KIND(right);
    const void *left_data = PyUnicode_DATA(left), *right_data = PyUnicode_DATA(right);
    for (Py_ssize_t i = 0; i < length && tables != 0; i++) {
        Py_UCS4 one = PyUnicode_READ(left_kind, left_data, i);
        Py_UCS4 other = PyUnicode_READ(right_kind, right_data, i);
        if (one != other) {
            /* Beyond the BMP nothing has a case. */
            bool may = one <= 0xFFFF && other <= 0xFFFF;
            tables &= may ? upcase_tables((utf16_unit)one, (utf16_unit)other) : 0;
        }
    }
    return PyLong_FromUnsignedLong(tables);
}
