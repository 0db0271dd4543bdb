"""What a failing part means for a desk, in words that need no engineer, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_MEANINGS: Final[Mapping[str, tuple[str, str]]] = {
    "records": (
        "the records do not answer: tickets and alarms cannot be shown or changed; alarms found now wait in order",
        "业务数据库无响应：工单和报警无法显示或更改，期间发现的报警按顺序等待",
    ),
    "broker": (
        "no line to the MQTT broker: nothing is heard of any lift; gateways keep their readings",
        "与 MQTT 消息服务器断开：收不到任何电梯数据，读数由网关暂存",
    ),
    "ingest": (
        "readings are not taken in: nothing is heard of any lift; gateways keep their readings",
        "数据接收停止：收不到任何电梯数据，读数由网关暂存",
    ),
    "alarms": (
        "alarms are not found or not recorded in full: silence does not mean that nobody is shut in",
        "报警检测或记录不完整：没有报警不代表没有人被困",
    ),
    "clocks": (
        "the clocks of rescues do not run: whoever does not answer is not followed by the next level; call by phone",
        "救援计时停止：无人应答时不会自动升级，请电话通知下一级",
    ),
    "outbox": (
        "orders do not leave the building: call the firms by phone",
        "派单无法发出：请电话通知维保单位",
    ),
    "telemetry": (
        "readings cannot be stored: alarms and tickets go on, history does not",
        "读数无法存储：报警和工单照常，历史曲线暂停",
    ),
    "condition": (
        "wear is not watched: alarms and tickets go on",
        "磨损监测停止：报警和工单照常",
    ),
    "retention": (
        "old readings are not removed: nothing is lost, but the disk fills",
        "旧数据未清理：数据不会丢失，但磁盘会逐渐写满",
    ),
    "heartbeat": (
        "other processes do not hear how this one is, and will take it for dead",
        "其他进程收不到本进程的状态，会判定其已停止",
    ),
    "gateway report": (
        "the list of gateways is not kept up to date",
        "网关列表未更新",
    ),
}


# What SQLite, DuckDB and the operating system say of it.
_DISK_FULL: Final = ("disk is full", "No space left on device")


def meaning(part: str, detail: str = "") -> tuple[str, str]:
    """Say in English and Chinese what it means when a part fails, the part's own name where nobody has words for it.

    A full disk is named, since it is what a person can mend.

    >>> meaning("condition")
    ('wear is not watched: alarms and tickets go on', '磨损监测停止：报警和工单照常')
    >>> meaning("lamp", "OSError: [Errno 28] No space left on device")
    ('THE DISK IS FULL: lamp does not work', '磁盘已满：lamp 异常')
    """
    en, zh = _MEANINGS.get(part, (f"{part} does not work", f"{part} 异常"))
    if any(words in detail for words in _DISK_FULL):
        return f"THE DISK IS FULL: {en}", f"磁盘已满：{zh}"
    return en, zh
