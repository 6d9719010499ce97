/* The way of a callback from foreign code into the interpreter whose objects it needs. */

#ifndef NETSESSION_INTERPRETER_VISIT_H
#define NETSESSION_INTERPRETER_VISIT_H

#include <Python.h>

#include <stdbool.h>

/* An interpreter that callbacks go to. It is still known where the interpreter has ended, whose
   address another one may have by then. Counted. */
typedef struct interpreter_life interpreter_life;

/* That of the current interpreter, a new reference; NULL with an exception set. */
interpreter_life *interpreter_life_current(void);
interpreter_life *interpreter_life_share(interpreter_life *life);
void interpreter_life_drop(interpreter_life *life);

/* Callbacks come from any thread, with or without the GIL, even from one that is in another
   interpreter. PyGILState_Ensure() would take them all to the main interpreter, or wait for a GIL
   that its own thread holds. So who has callbacks remembers the interpreter, and this is what one
   did to get there. */
typedef struct {
    PyThreadState *outer;   /* left, to be restored: of another interpreter; or NULL */
    PyThreadState *entered; /* to be left; NULL: the thread was there already */
    bool made;              /* `entered` was made for this call, and goes with it */
} interpreter_visit;

/* From here on the thread may use objects of the interpreter. False where it cannot: it or Python
   has ended, or there is no memory. */
bool enter_interpreter(interpreter_life *life, interpreter_visit *visit);

/* After enter_interpreter() that was true. */
void leave_interpreter(const interpreter_visit *visit);

#endif
