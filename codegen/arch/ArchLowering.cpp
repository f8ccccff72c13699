// Which lowering serves which target.
#include "codegen/arch/ArchLowering.h"

#include "codegen/arch/Sm80.h"
#include "codegen/arch/Sm90a.h"

#include "support/GpuTarget.h"

namespace attn::codegen {

const ArchLowering *ArchLowering::find(llvm::StringRef target) {
  static const Sm80Lowering sm80;
  static const Sm90aLowering sm90a;
  const GpuTarget *row = findGpuTarget(target.str());
  if (!row)
    return nullptr;
  switch (row->mmaFamily) {
  case MmaFamily::MmaSync:
    return &sm80;
  case MmaFamily::Wgmma:
    return &sm90a;
  case MmaFamily::Tcgen05:
    return nullptr;
  }
  return nullptr;
}

} // namespace attn::codegen
