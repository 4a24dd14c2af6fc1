import MatrixCore
import Testing

@testable import MixTCompression

@Suite struct MixTFormTests {
    /// Shares of numbers and of multiply-adds for N branches of base 2, worked out by hand.
    @Test(arguments: [(2, 0.5, 1.0), (3, 0.1875, 0.75), (4, 0.0625, 0.5), (5, 0.01953125, 0.3125)])
    func sharesFollowTheFormula(branches: Int, numbers: Double, macs: Double) throws {
        let form = try #require(MixTForm(rows: 4096, columns: 2048, base: 2, branches: branches))
        #expect(Double(form.parameters) == numbers * 4096 * 2048)
        #expect(Double(form.macs) == macs * 4096 * 2048)
        #expect(!form.isPadded)
    }

    @Test func redundancyIsTheKnownShare() throws {
        let form = try #require(MixTForm(rows: 256, columns: 256, base: 2, branches: 4))
        #expect(Double(form.redundantParameters) == 0.1875 * Double(form.parameters))
    }

    @Test(arguments: [
        (11008, 4096, 4, MixTForm.Padding.multiple, 11008, 4096), (11008, 4096, 4, .power, 16384, 4096),
        (1536, 384, 4, .multiple, 1536, 384), (33, 35, 3, .multiple, 40, 40), (33, 64, 5, .multiple, 64, 64),
    ])
    func paddingIsTheNextMultipleOrPower(
        m: Int, n: Int, branches: Int, padding: MixTForm.Padding, rows: Int, columns: Int
    )
        throws
    {
        let form = try #require(MixTForm(rows: m, columns: n, base: 2, branches: branches, padding: padding))
        #expect(form.paddedRows == rows && form.paddedColumns == columns)
        #expect(form.isPadded == (rows != m || columns != n))
    }

    @Test(arguments: [(64, 64, 1, 2), (64, 64, 0, 2), (64, 64, 2, 7), (8, 4096, 2, 4), (64, 64, 2, 64), (64, 64, 2, 0)])
    func impossibleFormsAreNone(m: Int, n: Int, base: Int, branches: Int) {
        #expect(MixTForm(rows: m, columns: n, base: base, branches: branches) == nil)
    }

    @Test(arguments: [(24, 16, 2, 3), (27, 54, 3, 2), (13, 21, 2, 3), (5, 9, 2, 2), (17, 4, 2, 2)])
    func expandIsTheDefinitionAndContractItsTranspose(m: Int, n: Int, base: Int, branches: Int) throws {
        let form = try #require(MixTForm(rows: m, columns: n, base: base, branches: branches))
        let values = MixTOracle.randomBranches(form)
        var found = Matrix64(rows: m, columns: n)
        form.expand(values, into: found.mutableView())
        let expected = MixTOracle.weight(form, values)
        let other: Matrix64 = CounterRandom(seed: 9).normalMatrix(rows: m, columns: n)
        let contracted = form.contract(MatrixOperand(other))
        var left = 0.0
        var right = 0.0
        for i in 0..<m {
            for j in 0..<n {
                #expect(abs(found[i, j] - expected[i, j]) < 1e-14)
                left += expected[i, j] * other[i, j]
            }
        }
        for (a, b) in zip(values, contracted) {
            for (x, y) in zip(a.elements, b.elements) { right += x * y }
        }
        #expect(abs(left - right) < 1e-10)
    }
}
