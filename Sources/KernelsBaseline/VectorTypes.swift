// These sources are compiled once for each instruction set (Sources/KernelsAVX2 and Sources/KernelsAVX512 are links to
// this folder). So that no weak symbol leaves a module, they hold nothing generic that is visible outside of its file,
// declare no types, and use of the standard library only what inlines.

#if AVX512
typealias FloatVector = SIMD16<Float>
typealias DoubleVector = SIMD8<Double>
#elseif AVX2
typealias FloatVector = SIMD8<Float>
typealias DoubleVector = SIMD4<Double>
#else
typealias FloatVector = SIMD4<Float>
typealias DoubleVector = SIMD2<Double>
#endif
