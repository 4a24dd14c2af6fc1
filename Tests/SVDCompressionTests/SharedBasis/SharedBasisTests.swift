import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors
import Testing

@testable import SVDCompression

/// Matrices that share a basis, held against brute force in Double.
@Suite struct SharedBasisTests {
    private static func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
    }

    private static func gram(_ size: Int, samples: Int, seed: UInt64) throws -> GramMetric {
        let x: Matrix64 = CounterRandom(seed: seed).normalMatrix(rows: size, columns: samples)
        let scaled = Matrix64(rows: size, columns: samples) { x[$0, $1] * (0.2 + Double($0 % 5)) }
        var moment = Matrix64(rows: size, columns: size)
        multiplyByTranspose(MatrixOperand(scaled), into: moment.mutableView())
        return try GramMetric(moment: moment)
    }

    private static func tasks(
        _ count: Int, rows: Int = 14, columns: Int = 20, type: ElementType = .float32, inputs: [Metric]? = nil
    ) -> [CompressionTask] {
        (0..<count).map { index in
            CompressionTask(
                member: GroupMember(module: "m\(index)", outFeatures: rows, inFeatures: columns, factorType: type),
                objective: Objective(
                    target: MatrixOperand(random(rows, columns, seed: 40 + UInt64(index))),
                    inputs: inputs?[index] ?? .identity))
        }
    }

    private static func compressor(
        _ values: [String: String] = ["share-layers": "2"], storage: MethodSettings.Storage = .factors
    ) throws -> SVDCompressor {
        try SVDCompressor(MethodSettings(storage: storage, values: values))
    }

    private static func operators(
        _ tasks: [CompressionTask], _ budget: Budget, storage: MethodSettings.Storage = .factors
    ) throws -> [SharedBasisOperator] {
        try compressor(storage: storage).compress(tasks, budget: budget).map { outcome in
            guard case .compressed(let compressed as SharedBasisOperator, _) = outcome else {
                throw Unexpected(outcome: "\(outcome)")
            }
            return compressed
        }
    }

    private struct Unexpected: Error { let outcome: String }

    private static func squaredError(_ tasks: [CompressionTask], _ found: [any LinearOperator]) -> Double {
        zip(tasks, found).reduce(0) { sum, pair in
            let w = pair.1.reconstruct(), target = pair.0.objective.target
            let error = Matrix64(rows: w.rows, columns: w.columns) { target[$0, $1] - Double(w[$0, $1]) }
            return sum + pair.0.objective.squaredNorm(of: MatrixOperand(error))
        }
    }

    @Test(arguments: MethodSettings.Storage.allCases)
    func aPlainSharedBasisLosesTheTailOfTheStack(storage: MethodSettings.Storage) throws {
        let tasks = Self.tasks(3)
        let found = try Self.operators(tasks, .rank(6), storage: storage)
        let stack = Matrix(rows: 42, columns: 20) { Float(tasks[$0 / 14].objective.target[$0 % 14, $1]) }
        let spectrum = try TruncatedSVD(route: .direct).spectrum(MatrixOperand(stack))
        let tail = spectrum.dropFirst(6).reduce(0) { $0 + $1 * $1 }
        #expect(abs(Self.squaredError(tasks, found) - tail) < 1e-5 * tail)
    }

    /// One matrix in a basis of its own is its truncated SVD, in any metric.
    @Test func aBasisOfOneIsTheSVD() throws {
        for inputs in [Metric.identity, .gram(try Self.gram(20, samples: 50, seed: 3))] {
            let task = Self.tasks(1, inputs: [inputs])
            let compression = SharedBasisCompression(route: .automatic, storage: .factors, rankMultiple: 1)
            guard case .compressed(let shared, _) = try compression.compress(task, budget: .rank(5))[0],
                case .compressed(let own, _) = try SVDCompressor().compress(task, budget: .rank(5))[0]
            else {
                Issue.record("not compressed")
                return
            }
            let difference = sumOfSquaredDifferences(
                MatrixOperand(shared.reconstruct()), MatrixOperand(own.reconstruct()))
            #expect(difference < 1e-9 * sumOfSquares(task[0].objective.target))
        }
    }

    /// With equal moments the projection is the optimum of the stack in that metric, by brute force over its spectrum;
    /// with moments of their own, members are at least as good as the sum of moments makes them.
    @Test func membersAreFittedToTheirOwnMoments() throws {
        let first = try Self.gram(20, samples: 60, seed: 1), second = try Self.gram(20, samples: 60, seed: 2)
        let same = Self.tasks(2, inputs: [.gram(first), .gram(first)])
        var stack = Matrix64(rows: 28, columns: 20)
        let wide = Matrix64(rows: 28, columns: 20) { same[$0 / 14].objective.target[$0 % 14, $1] }
        multiply(MatrixOperand(wide), MatrixOperand(first.root), into: stack.mutableView())
        let spectrum = try TruncatedSVD(route: .direct).spectrum(MatrixOperand(stack))
        let tail = spectrum.dropFirst(4).reduce(0) { $0 + $1 * $1 }
        #expect(abs(Self.squaredError(same, try Self.operators(same, .rank(4))) - tail) < 1e-5 * tail)

        let other = Self.tasks(2, inputs: [.gram(first), .gram(second)])
        let found = try Self.operators(other, .rank(4))
        // Moving the coefficients of a member in any direction makes it worse: they are optimal for its own moments.
        for (task, member) in zip(other, found) {
            let best = Self.squaredError([task], [member])
            let coefficients = try #require(member.coefficients.operand())
            for seed in 0..<4 as Range<UInt64> {
                let step = Self.random(14, 4, seed: 200 + seed)
                for size in [-0.01, 0.01] as [Float] {
                    let moved = Matrix(rows: 14, columns: 4) { Float(coefficients[$0, $1]) + size * step[$0, $1] }
                    let worse = SharedBasisOperator(
                        basis: member.basis, coefficients: MatrixOperand(moved), storedAs: .float32)
                    #expect(Self.squaredError([task], [worse]) > best)
                }
            }
        }
    }

    @Test(arguments: MethodSettings.Storage.allCases, [0.3, 0.55, 0.9])
    func whatIsPlannedIsWhatIsStored(storage: MethodSettings.Storage, keep: Double) throws {
        let tasks = Self.tasks(3)
        let compressor = try Self.compressor(storage: storage)
        let sizes = try #require(try compressor.size(of: tasks.map(\.member), budget: .keep(keep)))
        let found = try Self.operators(tasks, .keep(keep), storage: storage)
        var basis = 0, own = 0
        for (size, member) in zip(sizes, found) {
            #expect(size.entry.entries.map(\.key) == member.entry.entries.map(\.key))
            #expect(size.entry["rank"] == member.entry["rank"])
            #expect(size.macs == member.macs)
            #expect(size.tensors.map(\.name) == member.tensors.map(\.name))
            #expect(size.tensors.map(\.shape) == member.tensors.map(\.tensor.shape))
            basis = member.basis.stored.elementCount
            own += member.coefficients.elementCount
        }
        #expect(Double(basis + own) <= keep * 3 * 14 * 20)
        let rank = try #require(sizes[0].entry["rank"]?.int)
        // r(g·m + n), and r² less by pivots, is the largest that fits.
        let numbers = { (r: Int) in r * (42 + 20) - (storage == .pivot ? r * r : 0) }
        #expect(basis + own == numbers(rank))
        #expect(Double(numbers(rank + 1)) > keep * 3 * 14 * 20)
    }

    @Test(arguments: MethodSettings.Storage.allCases, [ElementType.float32, .bfloat16])
    func theOperatorIsReadBackAndMultipliesAsItsMatrix(storage: MethodSettings.Storage, type: ElementType) throws {
        let tasks = Self.tasks(2, type: type)
        let found = try Self.operators(tasks, .rank(7), storage: storage)
        let x = Self.random(5, 20, seed: 8)
        for (task, member) in zip(tasks, found) {
            var entry: JSON = ["schema": JSON(SharedBasisOperator.schema)]
            for (key, value) in member.entry.entries { entry[key] = value }
            let tensors = Dictionary(
                uniqueKeysWithValues: member.tensors.map { ($0.fullName(in: task.member.module), $0.tensor) })
            let again = try SharedBasisOperator(
                reading: OperatorSource(module: task.member.module, entry: entry) { tensors[$0] })
            let w = again.reconstruct()
            #expect(sumOfSquaredDifferences(MatrixOperand(w), MatrixOperand(member.reconstruct())) == 0)
            var y = Matrix(rows: 5, columns: 14)
            again.apply(x.view, into: y.mutableView())
            for token in 0..<5 {
                for row in 0..<14 {
                    let expected = (0..<20).reduce(0.0) { $0 + Double(w[row, $1]) * Double(x[token, $1]) }
                    #expect(abs(Double(y[token, row]) - expected) < 1e-4)
                }
            }
        }
    }

    @Test func damagedTensorsAreNamed() throws {
        let member = try Self.operators(Self.tasks(2), .rank(4), storage: .pivot)[1]
        var entry: JSON = ["schema": JSON(SharedBasisOperator.schema)]
        for (key, value) in member.entry.entries { entry[key] = value }
        var tensors = Dictionary(uniqueKeysWithValues: member.tensors.map { ($0.fullName(in: "m1"), $0.tensor) })
        let source = { (tensors: [String: StoredTensor], entry: JSON) in
            OperatorSource(module: "m1", entry: entry) { tensors[$0] }
        }
        #expect(throws: OperatorError.badEntry(module: "m1", key: "basis", expected: "a word")) {
            _ = try SharedBasisOperator(reading: source(tensors, ["rank": 4, "pivot": true]))
        }
        #expect(throws: OperatorError.wrongShape("lowrank.shared.m0.basis", expected: "[any, 5]", found: [16, 4])) {
            _ = try SharedBasisOperator(reading: source(tensors, ["rank": 5, "basis": "m0", "pivot": true]))
        }
        tensors["lowrank.shared.m0.basis"] = nil
        #expect(throws: OperatorError.missingTensor("lowrank.shared.m0.basis")) {
            _ = try SharedBasisOperator(reading: source(tensors, entry))
        }
    }

    @Test func everyMemberKeepsToAnErrorBound() throws {
        let tasks = Self.tasks(3, inputs: try (0..<3).map { .gram(try Self.gram(20, samples: 50, seed: 10 + $0)) })
        let bound = 0.35
        let found = try Self.operators(tasks, .error(bound))
        let rank = found[0].basis.rank
        for (task, member) in zip(tasks, found) { #expect(task.objective.relativeError(of: member) <= bound) }
        // One less and some member misses it.
        let smaller = try Self.operators(tasks, .rank(rank - 1))
        #expect(zip(tasks, smaller).contains { $0.objective.relativeError(of: $1) > bound })
    }

    /// Steps of the basis lower the error that all members have together, down to where its slope is nothing.
    @Test func sweepsLowerTheErrorToItsLeast() throws {
        let inputs: [Metric] = try (0..<3).map { .gram(try Self.gram(20, samples: 50, seed: 50 + $0)) }
        let tasks = Self.tasks(3, inputs: inputs)
        func found(_ sweeps: String) throws -> [SharedBasisOperator] {
            try Self.compressor(["share-layers": "3", "share-sweeps": sweeps]).compress(tasks, budget: .rank(5)).map {
                guard case .compressed(let compressed as SharedBasisOperator, _) = $0 else {
                    throw Unexpected(outcome: "\($0)")
                }
                return compressed
            }
        }
        let errors = try ["0", "1", "2", "40"].map { Self.squaredError(tasks, try found($0)) }
        #expect(zip(errors, errors.dropFirst()).allSatisfy { $1 < $0 }, "\(errors)")
        // At the end moving the basis in any direction, with coefficients as they are, gains next to nothing.
        let best = try found("40"), basis = best[0].basis.rows
        for seed in 0..<4 as Range<UInt64> {
            let step = Self.random(5, 20, seed: 400 + seed)
            for size in [-1e-3, 1e-3] as [Float] {
                let moved = Matrix(rows: 5, columns: 20) { Float(basis[$0, $1]) + size * step[$0, $1] }
                let other = SharedBasis(rows: MatrixOperand(moved), group: "m0", storedAs: .float32)
                let operators = best.compactMap { member in
                    member.coefficients.operand().map {
                        SharedBasisOperator(basis: other, coefficients: $0, storedAs: .float32)
                    }
                }
                #expect(Self.squaredError(tasks, operators) > errors[3] * (1 - 1e-5))
            }
        }
    }

    /// An expert that no token chose has no moments; it must not spoil the basis of those that have.
    @Test func aMemberWithoutMomentsDoesNotBendTheBasis() throws {
        let gram = Metric.gram(try Self.gram(20, samples: 50, seed: 21))
        let two = Self.tasks(2, inputs: [gram, gram]), three = Self.tasks(3, inputs: [gram, gram, .identity])
        let alone = Self.squaredError(two, try Self.operators(two, .rank(5)))
        let beside = Self.squaredError(two, Array(try Self.operators(three, .rank(5)).prefix(2)))
        #expect(abs(alone - beside) < 1e-6 * alone)
    }

    @Test func refittingKeepsTheBasisAndReachesItsOptimum() throws {
        let tasks = Self.tasks(2)
        let found = try Self.operators(tasks, .rank(5))
        let metric = Metric.gram(try Self.gram(20, samples: 40, seed: 31))
        let objective = Objective(target: tasks[1].objective.target, inputs: metric)
        let again = try found[1].refitted(to: objective)
        #expect(again.basis.stored.base == found[1].basis.stored.base)
        #expect(objective.relativeError(of: again) < objective.relativeError(of: found[1]))
    }

    @Test func badOptionsAreNamed() {
        let cases: [([String: String], String)] = [
            (["share-layers": "0"], "share-layers"), (["svd-group": "heads"], "svd-group"),
            (["svd-group": "experts", "share-layers": "2"], "share-layers"),
            (["share-projections": "all"], "share-projections"), (["share-sweeps": "2"], "share-sweeps"),
        ]
        for (values, name) in cases {
            do {
                _ = try Self.compressor(values)
                Issue.record("\(values) is accepted")
            } catch let error as CompressionError {
                guard case .badOption(name, _) = error else {
                    Issue.record("\(error)")
                    continue
                }
            } catch { Issue.record("\(error)") }
        }
    }

    @Test func oneLayerAloneSharesNothing() throws {
        #expect(try Self.compressor(["share-layers": "1"]).grouping == .single)
        #expect(try Self.compressor(["share-layers": "3"]).grouping == .layers(3))
        #expect(try Self.compressor(["svd-group": "experts"]).grouping == .experts)
    }
}
