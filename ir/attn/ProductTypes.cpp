// See ProductTypes.h.
#include "ir/attn/ProductTypes.h"

using namespace mlir;

namespace attn::ir {

bool isFloat8(Type type) { return isa<Float8E4M3FNType, Float8E5M2Type>(type); }

std::string spell(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return "e4m3";
  if (isa<Float8E5M2Type>(type))
    return "e5m2";
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

Type productType(Type a, Type b) {
  if (isFloat8(a) && isFloat8(b))
    return Float16Type::get(a.getContext());
  if (isFloat8(a))
    std::swap(a, b);
  if (isFloat8(b))
    return a.isF16() || a.isBF16() ? a : Type();
  return a == b ? a : Type();
}

} // namespace attn::ir
