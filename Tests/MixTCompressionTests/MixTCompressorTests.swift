import CompressionCore
import MatrixCore
import Testing

@testable import MixTCompression

@Suite struct MixTCompressorTests {
    private func member(_ m: Int, _ n: Int, _ type: ElementType = .float32) -> GroupMember {
        GroupMember(module: "m", outFeatures: m, inFeatures: n, factorType: type)
    }

    private func task(_ weight: Matrix64, _ type: ElementType = .float32) -> CompressionTask {
        CompressionTask(
            member: member(weight.rows, weight.columns, type), objective: Objective(target: MatrixOperand(weight)))
    }

    private func compress(
        _ task: CompressionTask, _ budget: Budget, _ compressor: MixTCompressor = MixTCompressor()
    ) throws -> (MixTOperator, CompressionEvidence)? {
        guard case .compressed(let compressed, let evidence) = try compressor.compress([task], budget: budget)[0] else {
            return nil
        }
        return (try #require(compressed as? MixTOperator), evidence)
    }

    @Test(arguments: [(64, 64, 0.8, 2), (64, 64, 0.5, 2), (64, 64, 0.49, 3), (64, 172, 0.25, 3), (1536, 384, 0.06, 5)])
    func keepTakesTheFewestBranchesWithinIt(m: Int, n: Int, keep: Double, branches: Int) throws {
        let size = try #require(try MixTCompressor().size(of: [member(m, n)], budget: .keep(keep)))[0]
        #expect(size.entry["branches"]?.int == branches)
        #expect(Double(size.parameters) <= keep * Double(m * n))
    }

    @Test(arguments: [(64, 64), (65, 33), (23, 40), (172, 64)], [0.8, 0.5, 0.25, 0.05])
    func theSizeIsWhatIsWritten(shape: (m: Int, n: Int), keep: Double) throws {
        let weight: Matrix64 = CounterRandom(seed: 2).normalMatrix(rows: shape.m, columns: shape.n)
        let size = try #require(
            try MixTCompressor().size(of: [member(shape.m, shape.n, .bfloat16)], budget: .keep(keep)))[0]
        let (compressed, _) = try #require(try compress(task(weight, .bfloat16), .keep(keep)))
        #expect(size.parameters == compressed.parameters && size.macs == compressed.macs)
        #expect(size.entry == compressed.entry)
        #expect(size.tensors.map(\.shape) == compressed.tensors.map(\.tensor.shape))
        #expect(size.tensors.map(\.name) == compressed.tensors.map(\.name))
        #expect(size.tensors.map(\.dtype) == compressed.tensors.map(\.tensor.dtype))
    }

    @Test func aWeightOfTheFormIsReproduced() throws {
        for (m, n) in [(48, 32), (45, 30)] {
            let form = try #require(MixTForm(rows: m, columns: n, base: 2, branches: 3))
            let weight = MixTOracle.weight(form, MixTOracle.randomBranches(form))
            let (compressed, evidence) = try #require(
                try compress(task(weight), .keep(0.3), MixTCompressor(branches: 3)))
            #expect(relativeError(of: MatrixOperand(weight), replacedBy: compressed) < 1e-5)
            #expect(try #require(evidence.energyKept) > 1 - 1e-9)
            #expect(evidence.details["redundant_parameters"]?.int == form.redundantParameters)
        }
    }

    @Test func accuraciesTakeTheSmallestFormThatMeetsThem() throws {
        // Of the form of 3 branches, so that 2 and 3 are exact and 4 is not.
        let form = try #require(MixTForm(rows: 64, columns: 64, base: 2, branches: 3))
        let weight = MixTOracle.weight(form, MixTOracle.randomBranches(form))
        for budget in [Budget.energy(0.9999), .error(0.01)] {
            #expect(try MixTCompressor().size(of: [member(64, 64)], budget: budget) == nil)
            let (compressed, _) = try #require(try compress(task(weight), budget))
            #expect(compressed.form.branches == 3)
        }
        let (loose, _) = try #require(try compress(task(weight), .error(1)))
        #expect(loose.form.branches == 6)
    }

    @Test func unreachableAccuraciesKeepTheMatrixDense() throws {
        let weight: Matrix64 = CounterRandom(seed: 2).normalMatrix(rows: 64, columns: 64)
        #expect(try compress(task(weight), .error(0.1)) == nil)
        #expect(try compress(task(weight), .energy(0.99)) == nil)
    }

    @Test func matricesThatWouldNotShrinkStayDense() throws {
        // 17 is padded to 20 and 32: half of the padded numbers is more than the 85.
        let size = try #require(try MixTCompressor().size(of: [member(17, 4)], budget: .keep(0.9)))[0]
        #expect(size.parameters == 40 && size.keptDense == nil)
        let power = try MixTCompressor(padding: .power).size(of: [member(17, 5)], budget: .keep(1))
        #expect(try #require(power)[0].keptDense != nil)
    }

    @Test func impossibleRequestsAreRefused() {
        #expect(throws: CompressionError.self) { try MixTCompressor().size(of: [member(64, 64)], budget: .rank(4)) }
        #expect(throws: CompressionError.self) {
            try MixTCompressor(branches: 7).size(of: [member(64, 64)], budget: .keep(0.5))
        }
        #expect(throws: CompressionError.self) { try MixTCompressor().size(of: [member(3, 64)], budget: .keep(0.5)) }
    }

    @Test func branchesAloneAreATarget() throws {
        let compressor = try MixTCompressor(MethodSettings(values: ["mixt-branches": "3"]))
        let size = try #require(try compressor.size(of: [member(64, 64)], budget: .options))[0]
        #expect(size.parameters == 768 && size.macs == 3072)
        #expect(throws: CompressionError.self) { try MixTCompressor().size(of: [member(64, 64)], budget: .options) }
    }

    @Test func optionsAreRead() throws {
        let values = ["mixt-base": "3", "mixt-branches": "2", "mixt-order": "fitted", "mixt-padding": "power"]
        let compressor = try MixTCompressor(MethodSettings(values: values))
        #expect(compressor.base == 3 && compressor.branches == 2 && compressor.padding == .power)
        #expect(compressor.order == .fitted)
        #expect(Set(values.keys) == Set(MixTCompressor.optionNames))
        let plain = try MixTCompressor(MethodSettings())
        #expect(plain.base == 2 && plain.branches == nil && plain.padding == .multiple && plain.order == .natural)
    }

    @Test(arguments: [
        ("mixt-base", "1"), ("mixt-base", "two"), ("mixt-branches", "1"), ("mixt-padding", "none"),
        ("mixt-order", "best"),
    ])
    func optionsThatMakeNoSenseAreRefused(name: String, value: String) throws {
        let error = #expect(throws: CompressionError.self) { try MixTCompressor(MethodSettings(values: [name: value])) }
        guard case .badOption(name, _) = try #require(error) else {
            Issue.record("another error: \(String(describing: error))")
            return
        }
    }

    @Test func pivotStorageIsRefused() {
        #expect(throws: CompressionError.self) { try MixTCompressor(MethodSettings(storage: .pivot)) }
    }

    @Test func aZeroMatrixStaysZero() throws {
        let (compressed, evidence) = try #require(try compress(task(Matrix64(rows: 20, columns: 12)), .keep(0.5)))
        #expect(compressed.reconstruct() == Matrix(rows: 20, columns: 12))
        #expect(evidence.energyKept == 1 && evidence.roundingError == 0)
    }
}
