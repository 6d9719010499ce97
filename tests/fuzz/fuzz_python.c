/* Fuzzes what needs Python: a CPython with netsession's modules built in, so that libFuzzer sees
   their coverage, that runs `run(data: bytes)` of one of the programs in programs/ for each input.

   NETSESSION_FUZZ_PROGRAM names the program. With NETSESSION_FUZZ_TRACE=1 the lines of netsession's
   Python files count as coverage too, each with the line before it. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "check.h"

/* AddressSanitizer's, where it is built in. */
__attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes(void);

PyMODINIT_FUNC PyInit__netsession(void);
PyMODINIT_FUNC PyInit__simulator(void);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static PyObject *run, *collect;

/* --- coverage of Python -------------------------------------------------------------------- */

enum { COUNTERS = 1 << 15 };

/* libFuzzer takes counters of this section for coverage. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];

static uint32_t line_before;

static bool
is_ours(PyObject *path)
{
    const char *text = PyUnicode_AsUTF8(path);
    return text != NULL && strstr(text, "/netsession/") != NULL;
}

static int
trace(PyObject *argument, PyFrameObject *frame, int what, PyObject *value)
{
    (void)argument;
    (void)value;
    if (what != PyTrace_CALL && what != PyTrace_LINE) {
        return 0;
    }
    PyCodeObject *code = PyFrame_GetCode(frame);
    if (what == PyTrace_CALL && !is_ours(code->co_filename)) {
        (void)PyObject_SetAttrString((PyObject *)frame, "f_trace_lines", Py_False);
    }
    if (what == PyTrace_LINE) {
        uint32_t line = (uint32_t)PyObject_Hash(code->co_filename)
                      + (uint32_t)PyFrame_GetLineNumber(frame) * 2654435761u;
        uint8_t *counter = &counters[(line ^ line_before) % COUNTERS];
        *counter = (uint8_t)(*counter == UINT8_MAX ? UINT8_MAX : *counter + 1);
        line_before = line >> 1;
    }
    Py_DECREF(code);
    return 0;
}

/* --- the interpreter ----------------------------------------------------------------------- */

static void
fail(void)
{
    PyErr_Print();
    abort();
}

static PyObject *
must(PyObject *object)
{
    if (object == NULL) {
        fail();
    }
    return object;
}

static void
start_python(void)
{
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.install_signal_handlers = 0;
    const char *home = getenv("NETSESSION_FUZZ_HOME");
    if (home != NULL) {
        CHECK(!PyStatus_Exception(PyConfig_SetBytesString(&config, &config.home, home)));
    }
    CHECK(!PyStatus_Exception(Py_InitializeFromConfig(&config)));
    PyConfig_Clear(&config);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    const char *name = getenv("NETSESSION_FUZZ_PROGRAM");
    CHECK(name != NULL);
    CHECK(PyImport_AppendInittab("netsession._netsession", PyInit__netsession) == 0);
    CHECK(PyImport_AppendInittab("netsession._simulator", PyInit__simulator) == 0);
    start_python();
    PyObject *program = must(PyImport_ImportModule(name));
    PyObject *gc = must(PyImport_ImportModule("gc"));
    run = must(PyObject_GetAttrString(program, "run"));
    collect = must(PyObject_GetAttrString(gc, "collect"));
    Py_DECREF(
        must(PyObject_CallFunction(run, "y#", "", (Py_ssize_t)0))); /* imports what is lazy */
    (void)PyGC_Collect();
    Py_DECREF(must(PyObject_CallMethod(gc, "freeze", NULL)));
    if (getenv("NETSESSION_FUZZ_TRACE") != NULL) {
        PyEval_SetTrace(trace, NULL);
    }
    Py_DECREF(program);
    Py_DECREF(gc);
    return 0;
}

/* The collector runs at the same places for the same input, whose program may change that. */
static void
run_once(const uint8_t *data, size_t size)
{
    line_before = 0;
    PyGC_Disable();
    Py_DECREF(must(PyObject_CallFunction(run, "y#", data, (Py_ssize_t)size)));
    Py_DECREF(must(PyObject_CallNoArgs(collect)));
}

enum { REPEATS = 300 };

static size_t
allocated(void)
{
    return __sanitizer_get_current_allocated_bytes == NULL
             ? 0
             : __sanitizer_get_current_allocated_bytes();
}

/* Whether more is held after a run than before. Python's cache of methods keeps names, so it
   is emptied. */
static bool
run_grows(const uint8_t *data, size_t size)
{
    size_t before = allocated();
    run_once(data, size);
    (void)PyType_ClearCache();
    return allocated() > before;
}

enum { REPEATS = 100 };

/* What is held grows now and then, as caches fill. What leaks grows every time. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t before = allocated();
    run_once(data, size);
    bool grows = allocated() > before;
    for (int i = 0; grows && i < REPEATS; i++) {
        grows = run_grows(data, size);
    }
    if (grows) {
        (void)fprintf(stderr, "memory leaks: what is held grew %d times in a row\n", REPEATS);
        abort();
    }
    return 0;
}
