// What must hold inside a manifest beyond its syntax.
#pragma once

#include "runtime/manifest/KernelManifest.h"

#include <string>

namespace attn::manifest {

/// Empty when the manifest is consistent; else what is wrong, with its place: names are unique, kernel parameters
/// refer to what is declared, and the limits of a launch hold.
std::string findInconsistency(const PlanManifest &plan);

} // namespace attn::manifest
