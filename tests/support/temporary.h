/* temporary.h - what mkdtemp(3) and mkstemp(3) make a test's own folder or file of. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A name in `folder`; both are string literals.  The six last characters are what the call replaces. */
#define TEMPORARY_IN(folder, name) folder "/" name ".XXXXXX"
#define TEMPORARY(name)            TEMPORARY_IN("/tmp", name)
