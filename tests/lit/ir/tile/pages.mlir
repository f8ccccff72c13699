// RUN: attn-opt %s --split-input-file --verify-diagnostics | attn-opt --split-input-file | FileCheck %s
// Rows in pages and work that is skipped: text, and one case a constraint.

!kv = !tile.tensor<[pages, 64, 2, 64], f16>   !table = !tile.tensor<[batch, columns], i32>   !K = !tile.frag<128x64xf16>
// CHECK-LABEL: func.func @rows
func.func @rows(%key: !kv, %table: !table, %b: i32, %k0: i32, %g: i32, %end: i32) -> !K {
  // CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] along 1 limit %{{.*}} pages %{{.*}} : !tensor1
  %k = tile.load %key[%b, %k0, %g] along 1 limit %end pages %table : !table : !kv -> !K
  return %k : !K
}

// -----
!kv = !tile.tensor<[pages, 64, 2, 64], f16>   !table = !tile.tensor<[batch, columns], i32>
!ring = !tile.ring<2, 128x64xf16, #tile.smem<128>>
// CHECK-LABEL: func.func @fill
func.func @fill(%ring: !ring, %key: !kv, %table: !table, %b: i32, %k0: i32, %g: i32, %end: i32) {
  // CHECK: tile.fill {{.*}} along 1 limit %{{.*}} pages %{{.*}} : !tensor1 {via = "tma"}
  tile.fill %ring[%b] from %key[%b, %k0, %g] along 1 limit %end pages %table : !table {via = "tma"} : !ring, !kv
  return
}

// -----
// load (C7): the page table
!kv = !tile.tensor<[pages, 64, 2, 64], f16>   !table = !tile.tensor<[columns], i32>   !K = !tile.frag<128x64xf16>
func.func @table_of_one_dimension(%key: !kv, %table: !table, %b: i32, %k0: i32, %g: i32, %end: i32) {
  // expected-error @below {{expects `pages` of i32 and rank 2, but got '!tile.tensor<[columns], i32>'}}
  %k = tile.load %key[%b, %k0, %g] along 1 limit %end pages %table : !table : !kv -> !K
  return
}

// -----
// load (C7): the rows of a page
!kv = !tile.tensor<[pages, 48, 2, 64], f16>   !table = !tile.tensor<[batch, columns], i32>   !K = !tile.frag<128x64xf16>
func.func @page_of_48_rows(%key: !kv, %table: !table, %b: i32, %k0: i32, %g: i32, %end: i32) {
  // expected-error @below {{expects pages of a power of two of rows beside `pages`, but got '!tile.tensor<[pages, 48, 2, 64], f16>'}}
  %k = tile.load %key[%b, %k0, %g] along 1 limit %end pages %table : !table : !kv -> !K
  return
}

// -----
// load (C7): the limit
!kv = !tile.tensor<[pages, 64, 2, 64], f16>   !table = !tile.tensor<[batch, columns], i32>   !K = !tile.frag<128x64xf16>
func.func @without_limit(%key: !kv, %table: !table, %b: i32, %k0: i32, %g: i32) {
  // expected-error @below {{expects a 2-D value along 1 with `limit` alone beside `pages`}}
  %k = tile.load %key[%b, %k0, %g] along 1 pages %table : !table : !kv -> !K
  return
}

// -----
// CHECK-LABEL: func.func @skipped
func.func @skipped(%n: i32, %past: i1) {
  // CHECK: tile.skip_work if %{{.*}}
  tile.foreach_work %n { ^work(%b: i32): tile.skip_work if %past   tile.yield }
  return
}

// -----
// skip_work (C1)
func.func @outside(%past: i1) {
  // expected-error @below {{expects to stand in the body of a `tile.foreach_work`, once}}
  tile.skip_work if %past
  return
}

// -----
// skip_work (C1)
func.func @twice(%n: i32, %past: i1) {
  tile.foreach_work %n { ^work(%b: i32):
    // expected-error @below {{expects to stand in the body of a `tile.foreach_work`, once}}
    tile.skip_work if %past
    tile.skip_work if %past
    tile.yield }
  return
}
