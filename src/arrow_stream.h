/* The Arrow PyCapsule protocol: schema, record batch and stream of session pages and of a
   fleet's, for pyarrow, polars, DuckDB, pandas and whoever else speaks it. No dependency: arrow_c_data.h is its ABI. */

#ifndef NETSESSION_ARROW_STREAM_H
#define NETSESSION_ARROW_STREAM_H

#include <Python.h>

/* Methods of SessionPage. */
PyObject *arrow_page_schema(PyObject *page, PyObject *ignored);
PyObject *arrow_page_array(PyObject *page, PyObject *args, PyObject *kwargs);
PyObject *arrow_page_stream(PyObject *page, PyObject *args, PyObject *kwargs);

extern const char arrow_page_schema_doc[], arrow_page_array_doc[], arrow_page_stream_doc[];

#define ARROW_WITH_KEYWORDS(function) \
    (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS, function##_doc

/* Entries of the page's and of the module's PyMethodDef. */
#define ARROW_PAGE_METHODS \
    {"__arrow_c_schema__", arrow_page_schema, METH_NOARGS, arrow_page_schema_doc}, \
        {"__arrow_c_array__", ARROW_WITH_KEYWORDS(arrow_page_array)}, \
    { \
        "__arrow_c_stream__", ARROW_WITH_KEYWORDS(arrow_page_stream) \
    }

/* Functions of the module. */
PyObject *arrow_schema(PyObject *module, PyObject *level);
PyObject *arrow_array(PyObject *module, PyObject *args);
PyObject *arrow_stream(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *arrow_fleet_schema(PyObject *module, PyObject *ignored);
PyObject *arrow_fleet_stream(PyObject *module, PyObject *args, PyObject *kwargs);

extern const char arrow_schema_doc[], arrow_array_doc[], arrow_stream_doc[];
extern const char arrow_fleet_schema_doc[], arrow_fleet_stream_doc[];

#define ARROW_MODULE_METHODS \
    {"arrow_schema", arrow_schema, METH_O, arrow_schema_doc}, \
        {"arrow_array", arrow_array, METH_VARARGS, arrow_array_doc}, \
        {"arrow_stream", ARROW_WITH_KEYWORDS(arrow_stream)}, \
        {"arrow_fleet_schema", arrow_fleet_schema, METH_NOARGS, arrow_fleet_schema_doc}, \
    { \
        "arrow_fleet_stream", ARROW_WITH_KEYWORDS(arrow_fleet_stream) \
    }

#endif
