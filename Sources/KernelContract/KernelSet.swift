/// Every kernel of one instruction set.
public struct KernelSet: Sendable {
    /// The rectangle of c that a micro-kernel keeps in registers.
    public struct Tile: Sendable {
        /// Rows: the side whose elements are broadcast.
        public var rows: Int
        /// Columns: two vectors.
        public var columns: Int

        public init(rows: Int, columns: Int) {
            self.rows = rows
            self.columns = columns
        }
    }

    /// The kernels that exist once for each type of the arithmetic.
    public struct Arithmetic: Sendable {
        public var tile: Tile
        public var multiplyBlock: Kernel<BlockProduct>
        /// Packs strips of `tile.rows`.
        public var packRows: Kernel<StripPacking>
        /// Packs strips of `tile.columns`.
        public var packColumns: Kernel<StripPacking>

        public var rowProducts: Kernel<RowProducts>
        public var rowCombination: Kernel<RowCombination>
        public var narrowRows: Kernel<NarrowRows>
        public var pairUpdate: Kernel<PairUpdate>
        public var dot: Kernel<RunDot>
        public var peak: Kernel<PeakTask>
        /// Numbers in a vector.
        public var lanes: Int { tile.columns / 2 }

        public init(
            tile: Tile, multiplyBlock: Kernel<BlockProduct>, packRows: Kernel<StripPacking>,
            packColumns: Kernel<StripPacking>, rowProducts: Kernel<RowProducts>, rowCombination: Kernel<RowCombination>,
            narrowRows: Kernel<NarrowRows>, pairUpdate: Kernel<PairUpdate>, dot: Kernel<RunDot>,
            peak: Kernel<PeakTask>
        ) {
            self.tile = tile
            self.multiplyBlock = multiplyBlock
            self.packRows = packRows
            self.packColumns = packColumns
            self.rowProducts = rowProducts
            self.rowCombination = rowCombination
            self.narrowRows = narrowRows
            self.pairUpdate = pairUpdate
            self.dot = dot
            self.peak = peak
        }
    }

    public var float32: Arithmetic
    public var float64: Arithmetic
    public var streams: StreamKernels
    public var reflectors: ReflectorKernels
    public var secular: SecularKernels
    public var sparseRows: Kernel<SparseRows>
    public var sparseRowProducts: Kernel<SparseRowProducts>

    public init(
        float32: Arithmetic, float64: Arithmetic, streams: StreamKernels, reflectors: ReflectorKernels,
        secular: SecularKernels, sparseRows: Kernel<SparseRows>, sparseRowProducts: Kernel<SparseRowProducts>
    ) {
        self.float32 = float32
        self.float64 = float64
        self.streams = streams
        self.reflectors = reflectors
        self.secular = secular
        self.sparseRows = sparseRows
        self.sparseRowProducts = sparseRowProducts
    }
}
