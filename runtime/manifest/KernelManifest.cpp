#include "runtime/manifest/KernelManifest.h"

#include <algorithm>

namespace attn {

const TensorArgument *PlanManifest::tensor(std::string_view name) const {
  auto found = std::find_if(tensors.begin(), tensors.end(), [&](const TensorArgument &t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

const KernelManifest *PlanManifest::kernel(KernelUse use) const {
  auto found = std::find_if(kernels.begin(), kernels.end(), [&](const KernelManifest &each) { return each.use == use; });
  return found == kernels.end() ? nullptr : &*found;
}

} // namespace attn
