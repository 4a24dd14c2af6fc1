import KernelContract

#if AVX512 || arch(arm64)
private let tileRows = 14
#else
private let tileRows = 6
#endif

/// The kernels of the instruction set that this module is compiled for.
public func kernelSet() -> KernelSet {
    KernelSet(
        float32: KernelSet.Arithmetic(
            tile: KernelSet.Tile(rows: tileRows, columns: 2 * FloatVector.scalarCount),
            multiplyBlock: multiplyBlock32, packRows: packRows32, packColumns: packColumns32,
            rowProducts: rowProducts32, rowCombination: rowCombination32, narrowRows: narrowRows32,
            pairUpdate: pairUpdate32, dot: dot32, peak: peak32),
        float64: KernelSet.Arithmetic(
            tile: KernelSet.Tile(rows: tileRows, columns: 2 * DoubleVector.scalarCount),
            multiplyBlock: multiplyBlock64, packRows: packRows64, packColumns: packColumns64,
            rowProducts: rowProducts64, rowCombination: rowCombination64, narrowRows: narrowRows64,
            pairUpdate: pairUpdate64, dot: dot64, peak: peak64),
        streams: StreamKernels(
            convert: convertRun, sumSquares: sumRunSquares, allFinite: checkRunFinite, softmax: softmaxRun,
            read: readMemory),
        reflectors: ReflectorKernels(
            float32: ReflectorKernels.Arithmetic(
                chase: chaseStep32, applyBlock: applyStaggeredReflectors32, projectRows: projectReflectorRows32,
                subtractRows: subtractReflectorRows32, mix: mixReflectors32, makeBlock: makeStaggeredBlock32,
                triangularFactor: triangularFactor32, symmetricSweep: symmetricSweep32, tileProduct: tileProduct32,
                termSum: termSum32),
            float64: ReflectorKernels.Arithmetic(
                chase: chaseStep64, applyBlock: applyStaggeredReflectors64, projectRows: projectReflectorRows64,
                subtractRows: subtractReflectorRows64, mix: mixReflectors64, makeBlock: makeStaggeredBlock64,
                triangularFactor: triangularFactor64, symmetricSweep: symmetricSweep64, tileProduct: tileProduct64,
                termSum: termSum64),
            factorStrip: factorPanelStrip, updateStrips: updatePanelStrips,
            readStrips: readPanelStrips, writeStrips: writePanelStrips),
        secular: SecularKernels(
            sums: secularSums, product: secularProduct, vector: secularVector, twistedVectors: twistedVectors),
        sparseRows: sparseRows, sparseRowProducts: sparseRowProducts)
}
