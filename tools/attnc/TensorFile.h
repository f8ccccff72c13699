// Reads and writes tensors as `.npy` (NumPy's format, versions 1 to 3) and `.safetensors`.
//
// npy has no bf16: such files are read from the two-byte void type `V2` that NumPy writes for ml_dtypes.bfloat16, and
// written as f32, which holds every bf16 exactly. 64-bit integers are read as i32 when every value fits.
#pragma once

#include "attn/Result.h"
#include "support/HostTensor.h"

#include <map>
#include <string>

namespace attn::tools {

using NamedTensors = std::map<std::string, HostTensor>;

Result<std::string> readFile(const std::string &path);
/// Fails where `writeFile` certainly would: asked before long work whose result goes there.
Status checkWritable(const std::string &path);
/// Writes beside the path and renames, so that a failure leaves an older file whole.
Status writeFile(const std::string &path, std::string_view bytes);

Result<HostTensor> parseNpy(std::string_view bytes);
/// `stored` (if given) receives the element type that the file holds.
std::string formatNpy(const HostTensor &tensor, ElementType *stored = nullptr);

Result<NamedTensors> parseSafetensors(std::string_view bytes);
std::string formatSafetensors(const NamedTensors &tensors);

/// `path`, or `path:name` for one tensor of a safetensors file. Messages name the file.
Result<HostTensor> readTensor(const std::string &pathAndName, const std::string &wantedName);
/// All tensors of a safetensors file.
Result<NamedTensors> readTensors(const std::string &path);

} // namespace attn::tools
