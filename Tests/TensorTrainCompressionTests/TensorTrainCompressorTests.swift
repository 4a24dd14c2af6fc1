import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors
import Testing

@testable import TensorTrainCompression

@Suite struct TensorTrainCompressorTests {
    private let weight = Oracle.weight(48, 36)

    private func member(_ m: Int = 48, _ n: Int = 36, _ type: ElementType = .float32) -> GroupMember {
        GroupMember(module: "m", outFeatures: m, inFeatures: n, factorType: type)
    }

    private func compressor(_ values: [String: String] = [:], multiple: Int = 1) throws -> TensorTrainCompressor {
        try TensorTrainCompressor(MethodSettings(rankMultiple: multiple, values: values))
    }

    private func compress(
        _ compressor: TensorTrainCompressor, _ budget: Budget, _ type: ElementType = .float32
    ) throws -> (TensorTrainOperator, CompressionEvidence)? {
        let task = CompressionTask(member: member(48, 36, type), objective: Objective(target: MatrixOperand(weight)))
        guard case .compressed(let result, let evidence) = try compressor.compress([task], budget: budget)[0] else {
            return nil
        }
        return (try #require(result as? TensorTrainOperator), evidence)
    }

    static let forms: [[String: String]] = [
        [:], ["tt-order": "3"], ["tt-layout": "split"], ["tt-modes": "out=8x6,in=6x6"],
        ["tt-order": "1", "tt-layout": "split"],
        ["tt-modes": "out=6x8,in=36;out=3x3,in=3x3", "tt-layout": "split"],
    ]

    /// What is planned from the shape is what is written, and within the budget.
    @Test(arguments: forms, [Budget.keep(0.8), .keep(0.5), .keep(0.25), .keep(0.1), .rank(3)])
    func plannedSizesAreWhatIsWritten(values: [String: String], budget: Budget) throws {
        let compressor = try compressor(values)
        let planned = try #require(try compressor.size(of: [member()], budget: budget)?.first)
        let (result, _) = try #require(try compress(compressor, budget))
        #expect(planned.tensors.map(\.shape) == result.tensors.map(\.tensor.shape))
        #expect(planned.tensors.map(\.name) == result.tensors.map(\.name))
        #expect(planned.macs == result.macs && planned.entry == result.entry && planned.schema == "TTLinear")
        if case .keep(let fraction) = budget { #expect(Double(result.parameters) <= fraction * 48 * 36) }
        if case .rank(let rank) = budget { #expect(result.ranks.allSatisfy { $0 <= rank }) }
    }

    @Test func evidenceAgreesWithTheResult() throws {
        let (result, evidence) = try #require(try compress(try compressor(), .keep(0.5)))
        let error = relativeError(of: MatrixOperand(weight), replacedBy: result)
        #expect(abs(try #require(evidence.energyKept) - (1 - error * error)) < 1e-5)
        #expect(evidence.roundingError == 0)
        let (narrow, rounded) = try #require(try compress(try compressor(), .keep(0.5), .bfloat16))
        let coarse = relativeError(of: MatrixOperand(weight), replacedBy: narrow)
        let added = try #require(rounded.roundingError)
        #expect(added > 1e-4 && added < 0.02 && abs((error * error + added * added).squareRoot() - coarse) < 1e-3)
    }

    @Test(arguments: forms, [0.05, 0.2, 0.5])
    func errorBoundsHoldForTheNumbersAsWritten(values: [String: String], bound: Double) throws {
        for type in [ElementType.float32, .bfloat16] {
            guard let (result, _) = try compress(try compressor(values), .error(bound), type) else { continue }
            #expect(relativeError(of: MatrixOperand(weight), replacedBy: result) <= bound)
        }
        #expect(try compress(try compressor(), .error(0.5)) != nil)
    }

    @Test(arguments: forms)
    func energyIsKept(values: [String: String]) throws {
        let (result, evidence) = try #require(try compress(try compressor(values), .energy(0.8)))
        let error = relativeError(of: MatrixOperand(weight), replacedBy: result)
        #expect(1 - error * error >= 0.8 && (evidence.energyKept ?? 0) >= 0.8)
    }

    @Test func givenRanksAreTaken() throws {
        let compressor = try compressor(["tt-order": "3", "tt-ranks": "4,7"])
        let (result, _) = try #require(try compress(compressor, .options))
        #expect(result.ranks == [1, 4, 7, 1])
        let multiples = try #require(try compress(try self.compressor(multiple: 8), .keep(0.5))).0
        #expect(multiples.ranks[1] % 8 == 0)
    }

    @Test func impossibleRequestsAreRefused() throws {
        func refusal(_ values: [String: String], _ budget: Budget = .keep(0.5)) -> CompressionError? {
            do {
                _ = try compressor(values).size(of: [member()], budget: budget)
                return nil
            } catch {
                return error as? CompressionError
            }
        }
        let cases: [([String: String], Budget, String)] = [
            (["tt-order": "10"], .keep(0.5), "too high"), (["tt-order": "x"], .keep(0.5), "whole number"),
            (["tt-order": "1000"], .keep(0.5), "above 40"), (["tt-modes": "out=8x8,in=6x6"], .keep(0.5), "64×36"),
            (["tt-modes": "8x6"], .keep(0.5), "out=8x8x16"),
            (["tt-modes": "out=8x6,in=36"], .keep(0.5), "as many of both"),
            (["tt-modes": "out=8x6,in=6x6", "tt-order": "2"], .keep(0.5), "one of the two"),
            (["tt-ranks": "43"], .options, "limit to 36"), (["tt-ranks": "3,3"], .options, "1 bonds"),
            (["tt-ranks": "3"], .keep(0.5), "size itself"), ([:], .options, "none is given"),
            (["tt-layout": "loop"], .keep(0.5), "interleaved, split"),
            (["tt-modes": "out=0x6,in=6x6"], .keep(0.5), "not like"),
        ]
        for (values, budget, words) in cases {
            let found = refusal(values, budget)?.description ?? "accepted"
            #expect(found.contains(words), "\(values): \(found)")
        }
    }

    @Test func matricesThatWouldNotShrinkStayDense() throws {
        #expect(try compress(try compressor(), .rank(42)) == nil)
        #expect(try compress(try compressor(), .error(1e-6)) == nil)
        let prime = try #require(try compressor().size(of: [member(1, 13)], budget: .keep(0.5))?.first)
        #expect(prime.keptDense?.contains("no factors") == true)
    }
}
