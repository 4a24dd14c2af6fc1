import Testing

@testable import Planning

@Suite struct LayerSelectionTests {
    private let blocks: Set<Int> = [0, 1, 2, 3, 4, 5]

    @Test(arguments: [
        ("1-3", [1, 2, 3]), ("first:2", [0, 1]), ("last:2", [4, 5]), ("1,5", [1, 5]), ("0-1,4", [0, 1, 4]), ("3", [3]),
    ] as [(String, Set<Int>)])
    func readsEveryForm(text: String, expected: Set<Int>) throws {
        #expect(try #require(LayerSelection(text)).layers(among: blocks) == expected)
    }

    @Test(arguments: ["", "a", "3-1", "1-", "-1", "first:0", "first:", "1,,2", "1-2-3", "0-99999999999"])
    func refusesEverythingElse(text: String) {
        #expect(LayerSelection(text) == nil)
    }

    @Test(arguments: ["5-6", "first:7", "last:7", "9"])
    func blocksThatDoNotExistAreErrors(text: String) throws {
        let selection = try #require(LayerSelection(text))
        #expect(throws: PlanningError.layersMissing(text, count: 6)) { _ = try selection.layers(among: blocks) }
    }
}
