#include "runtime/manifest/KernelManifest.h"

#include <algorithm>

namespace attn {

const TensorArgument *PlanManifest::tensor(std::string_view name) const {
  auto found = std::find_if(tensors.begin(), tensors.end(), [&](const TensorArgument &t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

const KernelManifest *PlanManifest::kernel(KernelUse use) const {
  const KernelManifest *first = nullptr;
  for (const KernelManifest &each : kernels)
    if (each.use == use && (!first || (each.work && !first->work)))
      first = &each;
  return first;
}

} // namespace attn
