// Stores by tensor maps: a warp copies the 16 rows that it has written itself, so that no other warp is waited for.
//
//     write   all lanes: registers to the warp's rows of the buffer; fence to the asynchronous proxy
//     store   barrier of the warp; its first lane starts a copy a panel, and commits them as a group
//     await_stores   the same lane waits until its groups have read the buffer; barrier of the warp
//
// Groups belong to the thread that commits them, hence one lane for both. The map leaves out what lies beyond the tensor.
#include "codegen/nvvm/Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

/// Emits `body` for the lane that stores for its warp.
static void byOneLane(KernelContext &kernel, Emitter &e, llvm::function_ref<void()> body) {
  Value lane = kernel.lane();
  Value isFirst = kernel.atEntry("first lane", [&](Emitter &entry) { return entry.ieq(lane, entry.i32(0)); });
  auto guard = mlir::scf::IfOp::create(e.builder, e.location, isFirst, /*withElseRegion=*/false);
  mlir::OpBuilder::InsertionGuard restore(e.builder);
  e.builder.setInsertionPointToStart(guard.thenBlock());
  body();
}

void storeByTensorMap(KernelContext &kernel, Emitter &e, tile::StoreOp store, Value buffer, llvm::ArrayRef<mlir::ValueRange> indices) {
  auto type = mlir::cast<tile::BufferType>(store.getValue().getType());
  auto tensor = store.getTensor().getType();
  TensorMapLayout map = tensorMapOf(store);
  Value tensorMap = kernel.roles().maps.lookup(store);
  std::int64_t rows = type.getShape()[0], rowsOfWarps = std::int64_t(kStoreRows) * kernel.rowWarps();
  std::int64_t columns = std::min(type.getShape()[1], tensor.getStaticSize(tensor.getRank() - 1).value_or(type.getShape()[1]));
  std::int64_t parts = kernel.parts(), ofPart = type.getShape()[1] / parts;
  buffer = kernel.atColumnsOfPart(e, type, buffer, ofPart);
  e.syncWarp(); // the lane speaks for what the others have written
  byOneLane(kernel, e, [&] {
    Value ownRow = e.imul(kernel.uniformRowWarp(), e.i32(kStoreRows));
    Value ownColumn = parts > 1 ? e.imul(kernel.part(), e.i32(ofPart)) : e.i32(0);
    for (std::int64_t first = 0; first < rows; first += rowsOfWarps) {
      Value row = e.iadd(ownRow, e.i32(first));
      mlir::OpBuilder::InsertionGuard restore(e.builder);
      if (first + rowsOfWarps > rows) {
        Value inside = e.icmp(Compare::Lt, row, e.i32(rows));
        auto guard = mlir::scf::IfOp::create(e.builder, e.location, inside, /*withElseRegion=*/false);
        e.builder.setInsertionPointToStart(guard.thenBlock());
      }
      Value query = store.getPack() ? e.udiv(row, e.i32(*store.getPack())) : row;
      llvm::SmallVector<Value> coordinates{Value()};
      for (std::uint32_t dim : llvm::ArrayRef(map.dims).drop_front())
        coordinates.push_back(dim == store.getDim() ? e.iadd(indices[dim].front(), query) : indices[dim].front());
      Value place = e.iadd(e.imul(row, e.i32(map.swizzle)), buffer);
      for (std::int64_t column = 0, panel = 0; column < std::min(columns, ofPart); column += map.box[0], ++panel) {
        coordinates[0] = e.iadd(ownColumn, e.i32(column));
        e.storeTensor(kernel.sharedPointer(e, place, panel * rows * map.swizzle), tensorMap, coordinates);
      }
    }
    e.commitTensorStores();
  });
}

namespace {
class AwaitStoresPattern : public TilePattern<tile::AwaitStoresOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::AwaitStoresOp op, Adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    byOneLane(kernel, e, [&] { e.waitTensorStores(); });
    e.syncWarp();
    rewriter.eraseOp(op);
    return mlir::success();
  }
};
} // namespace

void populateTensorStorePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<AwaitStoresPattern>(converter, kernel);
}

} // namespace attn::codegen
